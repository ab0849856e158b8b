"""Takes a snapshot of a type's readings and decides which rows are for training, which to be kept unseen."""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import msgspec
import polars as pl
import structlog

from ...exceptions import DataValidationError
from ..artifact import Artifact, Detail, make
from ..workplace import Workplace

log = structlog.get_logger(__name__)

COMPONENT = "data_ingestion"
SNAPSHOT_FILE = "snapshot.json"
SPLIT_FILE = "split.json"
DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestionConfig:
    """`days`, how far back to read from the newest reading; of at least `split_devices` devices one in
    `held_out_one_in` is kept unseen, and where there are more than `split_days` days, the last fifth of the time."""

    days: float = 60.0
    split_devices: int = 10
    held_out_one_in: int = 5
    split_days: float = 5.0
    unseen_time: float = 0.2


class Split(msgspec.Struct, frozen=True):
    """Devices kept unseen, and the time from which all are; rows of others before it are for training."""

    held_out: list[int]
    cut_ms: int


def run(config: IngestionConfig, place: Workplace, type_id: int, now_ms: int) -> Artifact:
    """Fix the readings of a type up to what the lake holds now.

    The artifact holds the snapshot and the split, not the rows. Raises DataValidationError on an empty lake.
    """
    name = place.device_type(type_id).name
    seqs = place.lake_seqs()
    keys = place.lake.read(type_id, columns=["device_key", "timestamp"])
    if keys.is_empty() or not seqs:
        raise DataValidationError(
            f"the lake {place.lake.url} holds no readings of type {name!r} yet; send some (faultwatch serve) or read"
            " files in (faultwatch ingest), then train"
        )
    times = keys["timestamp"].dt.epoch("ms")
    newest = _whole(times.max())
    end_ms = newest + 1
    start_ms = max(_whole(times.min()), end_ms - round(config.days * DAY_MS))
    devices = sorted(keys.filter(times >= start_ms)["device_key"].unique().to_list())
    split = _split(config, devices, start_ms, end_ms)
    snapshot = place.lake.snapshot(type_id, start_ms, end_ms, seqs)

    def write(folder: Path) -> Mapping[str, Detail]:
        (folder / SNAPSHOT_FILE).write_bytes(msgspec.json.encode(snapshot))
        (folder / SPLIT_FILE).write_bytes(msgspec.json.encode(split))
        return {"rows": snapshot.rows, "devices": len(devices), "unseen_devices": len(split.held_out)}

    made = make(
        place.artifacts(COMPONENT, type_id),
        component=COMPONENT,
        subject=name,
        inputs={},
        config=asdict(config),
        now_ms=now_ms,
        write=write,
    )
    log.info("snapshot.created", type=name, rows=snapshot.rows, devices=len(devices))
    return made


def _split(config: IngestionConfig, devices: list[int], start_ms: int, end_ms: int) -> Split:
    held_out: list[int] = []
    if len(devices) >= config.split_devices:
        held_out = [key for key in devices if _lot(key) % config.held_out_one_in == 0]
    long = end_ms - start_ms > config.split_days * DAY_MS
    return Split(held_out, end_ms - round((end_ms - start_ms) * config.unseen_time) if long else end_ms)


def _lot(device_key: int) -> int:
    """A number that stays with a device: what is kept unseen once is unseen by every later run."""
    return int.from_bytes(hashlib.sha256(str(device_key).encode()).digest()[:4], "big")


def _whole(value: object) -> int:
    if not isinstance(value, int):
        raise DataValidationError(f"a timestamp of the lake is {value!r}; expected a time")
    return value


def read_split(artifact: Artifact) -> Split:
    """The split that an artifact of this component holds."""
    return msgspec.json.decode((artifact.path / SPLIT_FILE).read_bytes(), type=Split)


def training_rows(frame: pl.DataFrame, split: Split) -> pl.DataFrame:
    """The rows of a snapshot that are for training."""
    cut = pl.from_epoch(pl.lit(split.cut_ms), time_unit="ms").dt.replace_time_zone("UTC")
    return frame.filter((pl.col("timestamp") < cut) & ~pl.col("device_key").is_in(split.held_out))
