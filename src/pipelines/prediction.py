"""The prediction pipelines: batch scoring, and the backtest ("what would this model have alerted on last month?")."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import msgspec
import numpy as np
import polars as pl

from ..components import data_ingestion
from ..components.artifact import Artifact, Detail, flat, make
from ..components.data_ingestion import Ingested, read_ingested
from ..components.data_ingestion.ingestion import DAY_MS
from ..components.replaying import DeviceRows, judge, settle, thresholds
from ..components.workplace import Workplace, site_numbers
from ..detection.detector import Detector
from ..exceptions import ModelError
from ..fleet import model_versions
from ..fleet.database import reading
from ..fleet.model_versions import ModelVersion
from .backtest import BacktestConfig, Replayed, replay_budgets
from .steps import Pipeline, Step

SCORES = "scores-{:05}.parquet"
BACKTEST_FILE = "backtest.json"
BATCH_ROWS = 2_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoringConfig:
    """`version` of the model, the champion's where it is None; the last `days` are scored, what is before settles
    devices."""

    version: int | None = None
    days: float = 1.0


def batch_scoring(
    config: ScoringConfig, inputs: Mapping[str, Artifact], place: Workplace, type_id: int, now_ms: int
) -> Artifact:
    """Score the last days of the snapshot in `inputs["data_ingestion"]`, device by device.

    Leaves Parquet files with device_key, timestamp, score, enter (the score past which it counts), odd, learning, and
    the most blamed sensor with its share. Raises ModelError where the type has no such version.
    """
    source = inputs["data_ingestion"]
    ingested = read_ingested(source)
    version = serving(place, type_id, config.version)
    detector = Detector.load(place.models(type_id) / version.folder)
    from_ms = ingested.snapshot.end_ms - round(config.days * DAY_MS)

    def write(folder: Path) -> Mapping[str, Detail]:
        rows = odd = 0
        sites = site_numbers(place.placed(type_id))
        for number, part in enumerate(_parts(place, ingested, detector.sensor_names_)):
            frame = score_rows(detector, DeviceRows.of(part, detector.sensor_names_, sites), from_ms)
            frame.write_parquet(folder / SCORES.format(number))
            rows, odd = rows + len(frame), odd + int(frame["odd"].sum())
            place.progress(min(1.0, rows / max(ingested.snapshot.rows, 1)))
        return {"rows": rows, "odd": odd, "version": version.version}

    return make(
        place.artifacts("batch_scoring", type_id),
        component="batch_scoring",
        subject=source.subject,
        inputs={"data_ingestion": source},
        config={**flat(asdict(config)), "model": version.folder},
        now_ms=now_ms,
        write=write,
    )


def score_rows(detector: Detector, rows: DeviceRows, from_ms: int) -> pl.DataFrame:
    """What a detector says of rows from a time on, their devices having settled before it."""
    settled = settle(detector, rows.take(rows.ts < from_ms))
    after = rows.take(rows.ts >= from_ms)
    scores = judge(detector, settled, after)
    enter, _ = thresholds(detector, settled, detector.config.false_alerts_per_device_day)
    share = np.nan_to_num(scores.contribution)
    most = share.argmax(axis=1) if len(after) else np.zeros(0, np.int64)
    limit = enter[after.slots]
    return pl.DataFrame(
        {
            "device_key": rows.keys[after.slots],
            "timestamp": pl.Series(after.ts).cast(pl.Datetime("ms", "UTC")),
            "score": scores.score,
            "enter": limit,
            "odd": scores.score >= limit,
            "learning": scores.learning,
            "blamed": np.array(detector.sensor_names_)[most],
            "share": share[np.arange(len(after)), most],
        }
    )


def backtest(
    config: BacktestConfig, inputs: Mapping[str, Artifact], place: Workplace, type_id: int, now_ms: int
) -> Artifact:
    """Count the alerts that budgets would have given over the last days of the snapshot, by owner and by owner's size.

    Raises ModelError where the type has no such version.
    """
    source = inputs["data_ingestion"]
    ingested = read_ingested(source)
    version = serving(place, type_id, config.version)
    detector = Detector.load(place.models(type_id) / version.folder)
    counted = replay_budgets(config, place, ingested, detector)

    def write(folder: Path) -> Mapping[str, Detail]:
        (folder / BACKTEST_FILE).write_bytes(msgspec.json.format(msgspec.json.encode(counted), indent=1) + b"\n")
        return {"rows": counted.rows, "devices": counted.devices, "version": version.version}

    return make(
        place.artifacts("backtest", type_id),
        component="backtest",
        subject=source.subject,
        inputs={"data_ingestion": source},
        config={**flat(msgspec.to_builtins(config)), "model": version.folder},
        now_ms=now_ms,
        write=write,
    )


def read_backtest(artifact: Artifact) -> Replayed:
    """What the artifact of a backtest holds."""
    return msgspec.json.decode((artifact.path / BACKTEST_FILE).read_bytes(), type=Replayed)


def serving(place: Workplace, type_id: int, wanted: int | None) -> ModelVersion:
    """The version of a number, or the champion. Raises ModelError where there is none."""
    with reading(place.engine) as session:
        found = (
            model_versions.champion(session, type_id)
            if wanted is None
            else model_versions.get(session, type_id, wanted)
        )
    if found is None:
        name = place.device_type(type_id).name
        raise ModelError(
            f"no model serves type {name!r} yet; train one (faultwatch train), or wait until it has learnt"
        )
    return found


def _parts(place: Workplace, ingested: Ingested, sensors: Sequence[str]) -> Iterator[pl.DataFrame]:
    columns = ["device_key", "timestamp", *sensors]
    return place.lake.snapshot_chunks(ingested.snapshot, columns=columns, chunk_rows=BATCH_ROWS)


PREDICTION = Pipeline(
    "prediction",
    (
        Step("data_ingestion", data_ingestion.run, data_ingestion.IngestionConfig(days=15.0)),
        Step("batch_scoring", batch_scoring, ScoringConfig(), inputs=("data_ingestion",)),
    ),
)
BACKTEST = Pipeline(
    "backtest",
    (
        Step("data_ingestion", data_ingestion.run, data_ingestion.IngestionConfig(days=44.0)),
        Step("backtest", backtest, BacktestConfig(), inputs=("data_ingestion",)),
    ),
)
