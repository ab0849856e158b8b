"""Takes a snapshot of a type's readings and decides which rows are for training, which to be kept unseen."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import msgspec
import polars as pl
import structlog

from ...exceptions import DataValidationError, ModelError
from ...telemetry.lake_snapshots import Snapshot
from ...telemetry.schema import DeviceType, decode_type, encode_type
from ..artifact import Artifact, Detail, make
from ..workplace import Label, Placed, Workplace

log = structlog.get_logger(__name__)

COMPONENT = "data_ingestion"
SNAPSHOT_FILE = "snapshot.json"
SAMPLE_FILE = "sample.json"
SPLIT_FILE = "split.json"
LABELS_FILE = "labels.json"
DEVICES_FILE = "devices.json"
DAYS_FILE = "days.json"
TYPE_FILE = "device_type.json"
DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestionConfig:
    """`days`, how far back to read from the newest reading.

    Of at least `split_devices` devices one in `held_out_one_in` is kept unseen. The last `unseen_time` of the time is
    kept unseen too, where there are more than `split_days` days or no device can be held out. A model learns from as
    many whole devices as have `training_rows` rows, and is judged on `unseen_devices` others; a smaller fleet is taken
    whole.
    """

    days: float = 60.0
    split_devices: int = 10
    held_out_one_in: int = 5
    split_days: float = 5.0
    unseen_time: float = 0.2
    training_rows: int = 1_000_000
    unseen_devices: int = 100


class Split(msgspec.Struct, frozen=True):
    """What is for training, and what is kept unseen.

    Rows of `training` devices before `cut_ms` are for training. Judged are the rows of `held_out` devices from
    `judged_ms` on, which before it only live, and those of `training` devices from `cut_ms` on.
    """

    training: list[int]
    held_out: list[int]
    cut_ms: int
    judged_ms: int


@dataclass(frozen=True, slots=True)
class Ingested:
    """What an artifact of this component holds: `snapshot` of all rows, `sample` of the devices that teach and judge,
    their labels, owners and sites, rows by UTC day, and the type as it was."""

    snapshot: Snapshot
    sample: Snapshot
    split: Split
    labels: Sequence[Label]
    devices: Sequence[Placed]
    days: Mapping[str, int]
    device_type: DeviceType


def run(
    config: IngestionConfig, inputs: Mapping[str, Artifact], place: Workplace, type_id: int, now_ms: int
) -> Artifact:
    """Fix the readings of a type up to what the lake holds now; needs no inputs.

    The artifact holds the snapshot and the split, not the rows. Raises DataValidationError on an empty lake, and where
    the snapshot is empty.
    """
    device_type = place.device_type(type_id)
    seqs, extent = place.lake_seqs(), place.lake.extent(type_id)
    if extent is None or not seqs:
        raise DataValidationError(
            f"the lake {place.lake.url} holds no readings of type {device_type.name!r} yet; send some (faultwatch"
            " serve) or read files in (faultwatch ingest), then train"
        )
    end_ms = extent[1] + 1
    start_ms = max(extent[0], end_ms - round(config.days * DAY_MS))
    counts = place.lake.row_counts(type_id, start_ms, end_ms)
    split = _split(config, counts, start_ms, end_ms)
    chosen = sorted({*split.training, *split.held_out})
    place.progress(0.1)
    snapshot = place.lake.snapshot(type_id, start_ms, end_ms, seqs)
    place.progress(0.7)
    sample = place.lake.snapshot(type_id, start_ms, end_ms, seqs, chosen)
    if not sample.rows:
        raise DataValidationError(
            f"the lake {place.lake.url} holds readings of type {device_type.name!r}, but none of them by the records"
            " that the database knows to be in it: start faultwatch serve once, which settles what was committed last,"
            " or restore lake and database from one backup"
        )
    known = set(chosen)
    parts: dict[str, object] = {
        SNAPSHOT_FILE: snapshot,
        SAMPLE_FILE: sample,
        SPLIT_FILE: split,
        LABELS_FILE: place.labels(list(counts)),
        DEVICES_FILE: [placed for placed in place.placed(type_id) if placed.device_key in known],
        DAYS_FILE: rows_by_day(place, sample),
    }

    def write(folder: Path) -> Mapping[str, Detail]:
        for name, part in parts.items():
            (folder / name).write_bytes(msgspec.json.encode(part))
        (folder / TYPE_FILE).write_bytes(encode_type(device_type))
        return {
            "rows": snapshot.rows,
            "devices": len(counts),
            "training_devices": len(split.training),
            "unseen_devices": len(split.held_out),
            "sample_rows": sample.rows,
        }

    made = make(
        place.artifacts(COMPONENT, type_id),
        component=COMPONENT,
        subject=device_type.name,
        inputs=inputs,
        config=asdict(config),
        now_ms=now_ms,
        write=write,
    )
    log.info("snapshot.created", type=device_type.name, rows=snapshot.rows, devices=len(counts))
    return made


def _split(config: IngestionConfig, counts: Mapping[int, int], start_ms: int, end_ms: int) -> Split:
    devices = sorted(counts, key=lot)
    held_out: list[int] = []
    if len(devices) >= config.split_devices:
        held_out = [key for key in devices if lot(key) % config.held_out_one_in == 0]
    unseen = set(held_out)
    training: list[int] = []
    rows = 0
    for key in (key for key in devices if key not in unseen):
        if rows >= config.training_rows:
            break
        training.append(key)
        rows += counts[key]
    last = end_ms - round((end_ms - start_ms) * config.unseen_time)
    by_time = end_ms - start_ms > config.split_days * DAY_MS or not held_out
    held_out = sorted(held_out[: config.unseen_devices])
    return Split(
        sorted(training), held_out, last if by_time else end_ms, last if by_time else _middle(start_ms, end_ms)
    )


def _middle(start_ms: int, end_ms: int) -> int:
    return start_ms + (end_ms - start_ms) // 2


def lot(device_key: int) -> int:
    """A number that stays with a device: what is kept unseen once is unseen by every later run."""
    return int.from_bytes(hashlib.sha256(str(device_key).encode()).digest()[:4], "big")


def rows_by_day(place: Workplace, snapshot: Snapshot) -> dict[str, int]:
    """How many rows of a snapshot the lake has, by UTC day. Raises StorageError where they aren't all there."""
    return count_days(place.lake.snapshot_chunks(snapshot, columns=("device_key", "timestamp")))


def count_days(parts: Iterable[pl.DataFrame]) -> dict[str, int]:
    """Rows by UTC day."""
    counts: Counter[str] = Counter()
    for part in parts:
        days = part.group_by(pl.col("timestamp").dt.date().cast(pl.String).alias("day")).len()
        counts.update(dict(zip(days["day"].to_list(), days["len"].to_list(), strict=True)))
    return dict(sorted(counts.items()))


def read_ingested(artifact: Artifact) -> Ingested:
    """What an artifact of this component holds. Raises ModelError where it is of an older version."""
    folder, decode = artifact.path, msgspec.json.decode
    try:
        return Ingested(
            decode((folder / SNAPSHOT_FILE).read_bytes(), type=Snapshot),
            decode((folder / SAMPLE_FILE).read_bytes(), type=Snapshot),
            decode((folder / SPLIT_FILE).read_bytes(), type=Split),
            decode((folder / LABELS_FILE).read_bytes(), type=list[Label]),
            decode((folder / DEVICES_FILE).read_bytes(), type=list[Placed]),
            decode((folder / DAYS_FILE).read_bytes(), type=dict[str, int]),
            decode_type((folder / TYPE_FILE).read_bytes()),
        )
    except (FileNotFoundError, msgspec.MsgspecError) as error:
        raise ModelError(
            f"the snapshot in {artifact.path} is not one of this version ({error}); run {COMPONENT} again"
        ) from error


def training_rows(frame: pl.DataFrame, split: Split) -> pl.DataFrame:
    """The rows of a snapshot that are for training."""
    return frame.filter((pl.col("timestamp") < moment(split.cut_ms)) & pl.col("device_key").is_in(split.training))


def moment(ms: int) -> pl.Expr:
    """Milliseconds since 1970 as a time in UTC."""
    return pl.from_epoch(pl.lit(ms), time_unit="ms").dt.replace_time_zone("UTC")
