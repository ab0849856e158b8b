"""A data folder with a type, its devices and readings in the lake, as the service leaves it."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
from sqlalchemy import insert

from ...components.workplace import Workplace
from ...fleet import device_types, models, watermarks
from ...fleet.database import connect, migrate, writing
from ...settings import Settings
from ...telemetry.schema import DeviceType, Sensor
from ..detection import fleet

PUMP = DeviceType(name="pump", sensors=tuple(Sensor(name=name, unit="x", precision=0.01) for name in fleet.NAMES))
NOW = fleet.START + 30 * 86_400_000


def settings(folder: Path) -> Settings:
    """The settings of a data folder that exists."""
    folder.mkdir(parents=True, exist_ok=True)
    return Settings(data=folder)


def with_readings(
    folder: Path,
    n_devices: int,
    n_minutes: int,
    seed: int = 1,
    values: np.ndarray | None = None,
    spec: DeviceType = PUMP,
) -> tuple[Workplace, int]:
    """A workplace whose lake holds made-up readings (or these), and the type's id."""
    found = settings(folder)
    engine = connect(found.database_url)
    migrate(engine)
    with writing(engine) as session:
        type_id, _ = device_types.add(session, None, spec, NOW)
        session.execute(insert(models.Owner).values(id=1, name="acme", created_ms=NOW))
        for key in range(1, n_devices + 1):
            session.execute(
                insert(models.Device).values(
                    id=key,
                    owner_id=1,
                    device_id=f"pump-{key}",
                    name=f"pump-{key}",
                    type_id=type_id,
                    registered_ms=NOW,
                )
            )
    place = Workplace.open(found)
    made = fleet.values(seed, n_devices, n_minutes)[:, :, : len(spec.sensors)] if values is None else values
    add_readings(place, type_id, made, 0, 5)
    engine.dispose()
    return place, type_id


def add_readings(place: Workplace, type_id: int, values: np.ndarray, first_minute: int, seq: int) -> None:
    """Record `seq` brings readings (n_minutes, n_devices, S) of a minute and those after it."""
    block = fleet.block(values, first_minute)
    frame = pl.DataFrame(
        {
            "device_key": block.slots.astype(np.int64) + 1,
            "timestamp": pl.Series(block.ts).cast(pl.Datetime("ms", "UTC")).dt.cast_time_unit("us"),
            **{
                name: pl.Series(block.values[:, s], nan_to_null=True)
                for s, name in enumerate(fleet.NAMES[: values.shape[2]])
            },
        }
    ).with_columns(
        ingest_seq=pl.lit(seq, pl.Int64()),
        arrived=pl.lit(datetime.fromtimestamp(NOW / 1000, UTC), pl.Datetime("us", "UTC")),
    )
    place.lake.append(type_id, frame, app_id="shard-0", version=seq)
    with writing(place.engine) as session:
        watermarks.advance(session, 0, NOW, applied_seq=seq, lake_seq=seq)
