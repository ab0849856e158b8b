"""The lake's journals: rows that were not taken, and copies of log records other than rows."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import polars as pl

from .lake_table import Shape
from .records import Quarantined, Record, decode, encode

UTC_TIME = pl.Datetime("us", "UTC")

QUARANTINE = Shape(
    columns={
        "ingest_seq": pl.Int64(),
        "arrived": UTC_TIME,
        "owner_id": pl.Int64(),
        "type_id": pl.Int64(),
        "device_key": pl.Int64(),
        "device_id": pl.String(),
        "reason": pl.String(),
        "message": pl.String(),
        "raw": pl.String(),
    },
    sort_by=("arrived", "ingest_seq"),
    told=("arrived", "ingest_seq"),
)
EVENTS = Shape(
    columns={"ingest_seq": pl.Int64(), "arrived": UTC_TIME, "kind": pl.String(), "record": pl.Binary()},
    sort_by=("arrived", "ingest_seq"),
    told=("arrived", "ingest_seq"),
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def quarantine_frame(records: Sequence[tuple[int, Quarantined]]) -> pl.DataFrame:
    """Rows of the table `quarantine` from (number, record)."""
    rows = [
        (seq, _moment(record.now_ms), bad.owner_id, bad.type_id, None, bad.device_id, bad.reason, bad.message, bad.raw)
        for seq, record in records
        for bad in record.rows
    ]
    return pl.DataFrame(rows, schema=dict(QUARANTINE.columns), orient="row")


def conflict_rows(conflicts: pl.DataFrame, type_id: int) -> pl.DataFrame:
    """Rows of the table `quarantine` from values that contradict what the lake has, as `lake_rows.settle` gives."""
    return conflicts.select(
        pl.col("ingest_seq"),
        pl.col("arrived"),
        pl.lit(None, pl.Int64).alias("owner_id"),
        pl.lit(type_id, pl.Int64).alias("type_id"),
        pl.col("device_key"),
        pl.lit(None, pl.String).alias("device_id"),
        pl.lit("conflict").alias("reason"),
        pl.format(
            "{} was {} at {}; {} came later for the same time and is not kept",
            "sensor",
            "kept",
            pl.col("timestamp").dt.to_string("%Y-%m-%d %H:%M:%S UTC"),
            "value",
        ).alias("message"),
        pl.struct("timestamp", "sensor", "value").struct.json_encode().alias("raw"),
    )


def events_frame(records: Sequence[tuple[int, Record]]) -> pl.DataFrame:
    """Rows of the table `events` from (number, record)."""
    rows = [(seq, _moment(record.now_ms), str(record.__struct_config__.tag), encode(record)) for seq, record in records]
    return pl.DataFrame(rows, schema=dict(EVENTS.columns), orient="row")


def events_records(rows: pl.DataFrame) -> list[tuple[int, Record]]:
    """(number, record) from rows of the table `events`, in their order."""
    return [(seq, decode(data)) for seq, data in rows.select("ingest_seq", "record").iter_rows()]


def _moment(ms: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=ms)
