"""What storing a million rows of 8 sensors costs, in the log and in the lake, and how fast one device is read."""

import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    import numpy as np
    import polars as pl

DAYS = 30
DEVICES = 139
"""Devices that make 6 million rows in 30 days of minutes."""

SENSORS = 8
COMMITS_A_DAY = 4
READS = 7
_MINUTES = 1440
_DAY_MS = 86_400_000


def measure(days: int = DAYS) -> dict[str, object]:
    """Write and read `days` of a small fleet; CPU seconds are of the whole process, per million rows."""
    with tempfile.TemporaryDirectory() as folder:
        return {
            "benchmark": "telemetry",
            "machine": f"{platform.machine()}, Python {platform.python_version()}",
            **_measure_log(Path(folder, "log")),
            **_measure_lake(str(Path(folder, "lake")), days),
        }


def _measure_log(folder: Path) -> dict[str, object]:
    import numpy as np

    from .log import LogWriter, read_log
    from .readings import Readings
    from .records import Rows

    rows, groups = 10_000, 100
    values = np.random.default_rng(1).normal(size=(rows, SENSORS))
    readings = Readings(1, np.arange(rows), np.zeros(rows, np.int64), values)
    with LogWriter(folder) as writer:
        written = _cpu(lambda: [writer.append([Rows.of(0, readings)]) for _ in range(groups)])
    read = _cpu(lambda: sum(1 for _ in read_log(folder, 0)))
    millions = rows * groups / 1e6
    return {"log_append_cpu_s": round(written / millions, 3), "log_read_cpu_s": round(read / millions, 3)}


def _measure_lake(url: str, days: int) -> dict[str, object]:
    import numpy as np

    from .lake import Lake

    lake, rng = Lake(url), np.random.default_rng(2)
    start_ms = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp() * 1000)
    appended = compacted = 0.0
    rows = rewritten = seq = 0
    for day in range(days):
        for part in range(COMMITS_A_DAY):
            minutes = _MINUTES // COMMITS_A_DAY
            seq += 1
            frame = _rows(rng, start_ms + day * _DAY_MS + part * minutes * 60_000, minutes, seq)
            begun = time.process_time()
            lake.append(1, frame, app_id="shard-0", version=seq)
            appended += time.process_time() - begun
            rows += len(frame)
        begun = time.process_time()
        rewritten += lake.compact(1, start_ms + (day + 1) * _DAY_MS + 600_000).rows
        compacted += time.process_time() - begun
    state = lake.table(1).state()
    assert state is not None
    middle = DEVICES // 2
    return {
        "lake_rows": rows,
        "lake_append_cpu_s": round(appended / rows * 1e6, 3),
        "lake_compact_cpu_s": round(compacted / rewritten * 1e6, 3),
        "lake_bytes_a_row": round(float(state.files["size_bytes"].sum()) / rows, 1),
        "one_device_all_columns_ms": _milliseconds(lambda: lake.read(1, device_keys=[middle])),
        "one_device_one_sensor_ms": _milliseconds(
            lambda: lake.read(1, device_keys=[middle], columns=["timestamp", "s0", "score"])
        ),
    }


def _rows(rng: "np.random.Generator", start_ms: int, minutes: int, seq: int) -> "pl.DataFrame":
    """Scored rows of all devices, minute by minute; every tenth has a band."""
    import numpy as np
    import polars as pl

    from .bands import bands_column, pack_bands, pack_blame

    n = minutes * DEVICES
    times = pl.Series(np.repeat(start_ms + 60_000 * np.arange(minutes), DEVICES)).cast(pl.Datetime("ms", "UTC"))
    with_band = np.flatnonzero(rng.random(n) < 0.1)
    centre = rng.normal(50, 3, (len(with_band), SENSORS)).astype(np.float32)
    blame = np.zeros(n, np.int32)
    blame[with_band] = pack_blame(np.abs(centre))
    return pl.DataFrame(
        {
            "device_key": np.tile(np.arange(DEVICES), minutes),
            "timestamp": times,
            **{f"s{sensor}": np.round(rng.normal(50, 3, n), 2) for sensor in range(SENSORS)},
            "score": rng.exponential(size=n).astype(np.float32),
            "model_version": np.ones(n, np.int32),
            "bands": bands_column(pack_bands(centre, np.abs(centre)), with_band, n),
            "blame": blame,
            "ingest_seq": np.full(n, seq),
            "arrived": times,
        }
    )


def _cpu(work: Callable[[], object]) -> float:
    begun = time.process_time()
    work()
    return time.process_time() - begun


def _milliseconds(work: Callable[[], object]) -> float:
    taken = []
    for _ in range(READS):
        begun = time.perf_counter()
        work()
        taken.append((time.perf_counter() - begun) * 1000)
    return round(statistics.median(taken), 1)


def benchmark(
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write the figures to this file too.", metavar="FILE")
    ] = None,
    days: Annotated[int, typer.Option(min=1, help="How many days of the fleet.")] = DAYS,
) -> None:
    """Measure what storing readings costs (CPU seconds per million rows) and how fast one device is read."""
    import msgspec

    text = msgspec.json.format(msgspec.json.encode(measure(days)), indent=2)
    typer.echo(text)
    if json_file is not None:
        json_file.write_bytes(text + b"\n")


if __name__ == "__main__":
    typer.run(benchmark)
