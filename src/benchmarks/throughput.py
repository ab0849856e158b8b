"""`faultwatch benchmark throughput`: a real server, real requests, and what each million rows costs."""

import multiprocessing
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

import httpx
import numpy as np
import polars as pl
from sqlalchemy import func, select

from ..detection.state import PEERS
from ..exceptions import StorageError
from ..fleet import device_types, models, owners, tokens
from ..fleet.database import connect, migrate, reading, writing
from ..service.shard import Shard
from ..service.shard_state import Frozen
from ..settings import Settings
from ..telemetry import records
from ..telemetry.lake import Lake
from ..telemetry.published import PublishedReader
from ..telemetry.readings import Readings
from .load_bodies import CONTENT_TYPES, Format, write_bodies
from .load_sender import Sent, send
from .made_fleet import MINUTE_MS, MadeFleet

SENDERS = 2
COMMIT_S = 10.0
CHECKPOINT_S = 20.0
"""The lake is fed, and the state saved, this often, so that a short run has some of each."""

WAIT_S = 600.0
DEVICES_A_SITE = 500
HOUR_MS = 3_600_000
STAGE = re.compile(r'^faultwatch_stage_cpu_seconds_total\{stage="(\w+)"\} (\S+)$', re.M)

R = TypeVar("R")


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What is sent: `minutes` readings of each of `devices` devices of `sensors` sensors."""

    devices: int
    sensors: int
    minutes: int
    form: Format
    rows_per_request: int

    @property
    def rows(self) -> int:
        """Rows in all."""
        return self.devices * self.minutes


@dataclass(frozen=True, slots=True)
class Prepared:
    """A data folder with devices that are known, learnt and warm; a token that writes; seconds to register them."""

    type_id: int
    token: str
    registration_s: float


def measure(load: Load, folder: Path) -> dict[str, object]:
    """Prepare a data folder below `folder`, load a server on it, and count what came of every row.

    CPU seconds are the server process's own, from the first request until it has ended, and those of both levels of
    compaction of the rows sent. Linux only (reads /proc).
    """
    start_ms = time.time_ns() // 1_000_000 // MINUTE_MS * MINUTE_MS - load.minutes * MINUTE_MS
    fleet = MadeFleet(load.devices, load.sensors, start_ms)
    data, twin = folder / "data", folder / "replay"
    prepared = in_a_child(prepare, data, fleet)
    shutil.copytree(data, twin)
    files = in_a_child(write_all, folder, fleet, load)
    with server_on(data) as server:
        stages_before, cpu_before = server.stages(), server.cpu_s()
        sent = send_all(server.url, prepared.token, load, files, fleet.device_type.name)
        queue_left = server.drain(data)
        stages = {stage: cpu - stages_before[stage] for stage, cpu in server.stages().items()}
        peak = server.peak_rss()
    server_cpu = server.cpu_at_end - cpu_before
    compact_cpu = in_a_child(compact, data, prepared.type_id)
    found = in_a_child(read_back, data, prepared.type_id, start_ms)
    replayed = in_a_child(replay, data, twin, prepared.type_id, start_ms)
    # What no stage counts: HTTP, Polars' own threads, the last commit and checkpoint of all.
    stages |= {"other": server_cpu - sum(stages.values()), "compact": compact_cpu}
    millions = load.rows / 1e6
    latency = np.array(sent.latencies) * 1000
    return {
        "benchmark": "throughput",
        "devices": load.devices,
        "sensors": load.sensors,
        "minutes": load.minutes,
        "format": load.form,
        "rows_per_request": load.rows_per_request,
        "device_rows_per_s": round(sent.rows / sent.seconds),
        "requests_per_s": round(sent.requests / sent.seconds, 1),
        "server_cpu_s_per_million_rows": round((server_cpu + compact_cpu) / millions, 2),
        "stages": {stage: round(cpu / millions, 3) for stage, cpu in stages.items()},
        "peak_rss_bytes": peak,
        "latency_ms": {"p50": quantile(latency, 0.5), "p99": quantile(latency, 0.99)},
        "rows_sent": sent.rows,
        "rows_accepted": sent.accepted,
        "rows_scored": found.scored,
        "rows_read_back": found.rows,
        "alerts_fired": found.alerts,
        "alerts_fired_in_replay": replayed,
        "devices_registered": found.devices,
        "registration_s": round(prepared.registration_s, 1),
        "queue_left": queue_left,
    }


def prepare(data: Path, fleet: MadeFleet) -> Prepared:
    """Make the data folder: database, type, devices, a trained model, and a checkpoint with everybody's baseline."""
    settings = Settings(data=data)
    data.mkdir()
    engine = connect(settings.database_url)
    migrate(engine)
    before_ms = fleet.start_ms - MINUTE_MS
    with writing(engine) as session:
        owner_id = owners.add(session, "Made", before_ms)
        type_id, _ = device_types.add(session, None, fleet.device_type, before_ms)
        token = tokens.create(session, owner_id, "load", before_ms)
    with Shard(settings, engine, Lake(settings.lake_url), now_ms=before_ms) as shard:
        begun = time.perf_counter()
        items = [(fleet.device_id(i), type_id, f"site-{i // DEVICES_A_SITE}") for i in range(fleet.devices)]
        shard.registry.register(owner_id, items, before_ms)
        shard.sync(before_ms)
        registration_s = time.perf_counter() - begun
        kept = shard.models.keep(type_id, fleet.detector(), before_ms, "made for load")
        swap = records.ModelSwap(now_ms=before_ms, type_id=type_id, model=kept.model, version=kept.version)
        shard.append_and_apply([swap])
        _warm(shard, fleet, type_id, before_ms)
    engine.dispose()
    return Prepared(type_id, token, registration_s)


def _warm(shard: Shard, fleet: MadeFleet, type_id: int, now_ms: int) -> None:
    """Let the prototypes live through their history, copy what is remembered of them, and save it as a checkpoint."""
    keys = shard.state.roster.keys[shard.state.roster.slots_of_type(type_id)]
    state, slots = shard.state.types[type_id], np.arange(fleet.prototypes)
    for readings in fleet.history(type_id, keys[: fleet.prototypes]):
        state.apply(readings, slots, now_ms)
    shard.commit(shard.cut())
    frozen = shard.state.freeze()
    copies = np.arange(fleet.devices) % fleet.prototypes
    own = {f"type-{type_id}.detector.{name}" for name in (*PEERS, "group")} | {f"type-{type_id}.devices.site"}
    arrays = {
        name: (
            np.ascontiguousarray(array[copies])
            if name.startswith((f"type-{type_id}.detector.", f"type-{type_id}.devices.")) and name not in own
            else array
        )
        for name, array in frozen.arrays.items()
    }
    shard.checkpoint(Frozen(frozen.seq, arrays, frozen.meta))


def compact(data: Path, type_id: int) -> float:
    """Rewrite the rows as they will be in time, by hour and by day; CPU seconds."""
    lake = Lake(Settings(data=data).lake_url)
    before, now_ms = time.process_time(), time.time_ns() // 1_000_000
    lake.compact(type_id, now_ms + 2 * HOUR_MS)
    lake.compact(type_id, now_ms + 48 * HOUR_MS)
    return time.process_time() - before


@dataclass(frozen=True, slots=True)
class Found:
    """What is there after a run."""

    rows: int
    scored: int
    alerts: int
    devices: int


def read_back(data: Path, type_id: int, start_ms: int) -> Found:
    """Count rows of the run in the lake, and alerts and devices in the database."""
    settings = Settings(data=data)
    frame = Lake(settings.lake_url).read(type_id, start_ms=start_ms, columns=["device_key", "timestamp", "score"])
    engine = connect(settings.database_url)
    with reading(engine) as session:
        alerts = session.scalar(select(func.count()).select_from(models.Alert)) or 0
        devices = session.scalar(select(func.count()).select_from(models.Device)) or 0
    engine.dispose()
    return Found(frame.height, int(frame["score"].is_not_null().sum()), alerts, devices)


def replay(data: Path, twin: Path, type_id: int, start_ms: int) -> int:
    """Judge the rows of the run once more, from the lake, in a copy of the folder as it was; alerts that fired."""
    settings = Settings(data=twin)
    engine = connect(settings.database_url)
    fired = 0
    with Shard(settings, engine, Lake(settings.lake_url), now_ms=start_ms) as shard:
        names = list(shard.state.types[type_id].spec.sensor_names)
        lake = Lake(Settings(data=data).lake_url)
        frame = lake.read(type_id, start_ms=start_ms, columns=["device_key", "timestamp", *names])
        for (moment,), rows in frame.sort("timestamp", "device_key").group_by("timestamp", maintain_order=True):
            ts = np.full(rows.height, int(moment.timestamp() * 1000))
            values = np.ascontiguousarray(rows.select(pl.col(names).fill_null(float("nan"))).to_numpy())
            readings = Readings(type_id, rows["device_key"].to_numpy(), ts, values)
            record = records.Rows.of(int(ts[0]), readings)
            outcome = shard.state.apply(shard.state.seq + 1, record)
            fired += sum(change.to_state == "firing" for change in outcome.changes)
    engine.dispose()
    return fired


class RunningServer:
    """A running `faultwatch serve`, seen from outside."""

    def __init__(self, process: "subprocess.Popen[str]", url: str) -> None:
        self.process = process
        self.url = url
        self.cpu_at_end = 0.0

    def cpu_s(self) -> float:
        """CPU seconds so far, of all its threads."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def peak_rss(self) -> int:
        """The most memory it has held, in bytes."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(r"VmHWM:\s+(\d+) kB", status)
        return int(found[1]) * 1024 if found else 0

    def drain(self, data: Path) -> int:
        """Wait until everything that is logged has been applied; how many records were left after a while."""
        reader = PublishedReader(data / "published" / "shard-0")
        ends = time.monotonic() + WAIT_S
        while True:
            clock = reader.clock()
            left = clock.last_seq - clock.applied_seq if clock else 1
            if not left or time.monotonic() > ends:
                return left
            time.sleep(0.2)

    def stages(self) -> dict[str, float]:
        """CPU seconds so far by stage, as the server counts them."""
        text = httpx.get(f"{self.url}/metrics", timeout=30).text
        return {stage: float(cpu) for stage, cpu in STAGE.findall(text)}


@contextmanager
def server_on(data: Path, *arguments: str) -> Iterator[RunningServer]:
    """A server on a data folder, until it is told to end; `arguments` for `faultwatch serve`."""
    root = __package__.partition(".")[0]
    settings = {"LAKE_COMMIT_S": COMMIT_S, "CHECKPOINT_S": CHECKPOINT_S, "LOG_LEVEL": "warning"}
    process = subprocess.Popen(
        [sys.executable, "-m", root, "serve", "--data", str(data), "--port", "0", *arguments],
        env={**os.environ, **{f"FAULTWATCH_{name}": str(value) for name, value in settings.items()}},
        cwd=Path(__file__).parents[2],
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    said, ended = [], False
    try:
        for line in process.stderr:
            said.append(line)
            if found := re.search(r"https?://\S+?:\d+", line):
                break
        else:
            raise StorageError(f"the server did not start: {' '.join(said)}")
        server = RunningServer(process, found[0])
        yield server
        process.send_signal(signal.SIGTERM)
        process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode, ended = os.waitstatus_to_exitcode(status), True
        server.cpu_at_end = usage.ru_utime + usage.ru_stime
    finally:
        if not ended:
            process.kill()
            process.wait()
        process.stderr.close()


def write_all(folder: Path, fleet: MadeFleet, load: Load) -> list[list[Path]]:
    """Files of requests, for each sender one for each of its connections."""
    connections = min(80, max(1, load.devices // 10)) if load.rows_per_request == 1 else 2
    shares = np.array_split(np.arange(load.devices), SENDERS * connections)
    paths = [folder / f"requests-{number}" for number in range(len(shares))]
    for path, share in zip(paths, shares, strict=True):
        write_bodies(path, fleet, share, load.minutes, load.form, load.rows_per_request)
    return [paths[at::SENDERS] for at in range(SENDERS)]


def send_all(url: str, token: str, load: Load, files: Sequence[Sequence[Path]], type_name: str) -> Sent:
    parts = urlsplit(url)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(SENDERS, mp_context=context) as pool:
        list(pool.map(_ready, range(SENDERS)))
        waiting = [
            pool.submit(
                send, parts.hostname or "", parts.port or 80, token, CONTENT_TYPES[load.form], list(mine), type_name
            )
            for mine in files
        ]
        all_sent = Sent()
        for future in waiting:
            all_sent.add(future.result())
    return all_sent


def _ready(number: int) -> int:
    """Start a process of the pool before the clock runs."""
    time.sleep(0.5)
    return number


def in_a_child(work: Callable[..., R], *arguments: object) -> R:
    """Run in a process of its own, so that its memory is gone afterwards."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(work, *arguments).result()


def quantile(values: np.ndarray, share: float) -> float:
    return round(float(np.quantile(values, share)), 1) if len(values) else 0.0
