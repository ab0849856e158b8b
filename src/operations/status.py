"""`faultwatch status`: what the running service says of itself, on one screen."""

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import typer

from ..fleet.terminal import DataOption, when

if TYPE_CHECKING:
    import polars as pl

    from ..settings import Settings
    from .asking import Said

Line = tuple[str, str]


def status(data: DataOption = None) -> None:
    """Show what the running service says of itself. Exit code 0: it runs and is ready; 1: it is not."""
    from ..settings import load_settings
    from .asking import ask
    from .running import notes

    settings = load_settings(data=data)
    said = [ask(note) for note in notes(settings.data)]
    for name, words in _screen(settings, said):
        typer.echo(f"{name:<10} {words}")
    if not said or not all(one.ready is not None and one.ready.ready for one in said):
        raise typer.Exit(1)


def _screen(settings: "Settings", said: "list[Said]") -> Iterator[Line]:
    yield "data", str(settings.data)
    if not said:
        yield "service", f"not running; `faultwatch serve --data {settings.data}` starts it"
    for one in said:
        yield "service", _process(one)
    for one in said:
        yield from _readiness(one)
    loop = next((one for one in said if one.ready is not None and one.note.role != "web"), None)
    if loop is not None:
        yield from _loop(loop)
    yield from _fleet(settings)
    yield from _people(settings)
    yield from _disk(settings)


def _process(one: "Said") -> str:
    where = f"role {one.note.role}, process {one.note.pid}, version {one.note.version}"
    if one.ready is None:
        return f"{where}: {one.silence}"
    up_s = time.time() - one.note.started_ms / 1000
    return f"running: {where}, {one.note.url}, for {duration(up_s)}"


def _readiness(one: "Said") -> Iterator[Line]:
    if one.ready is None:
        return
    faults = {name: words for name, words in one.ready.checks.items() if words != "ok"}
    if not faults:
        yield "ready", f"yes ({one.note.role}): {', '.join(one.ready.checks)}"
    for name, words in faults.items():
        yield "NOT READY", f"{name}: {words}"


def _loop(one: "Said") -> Iterator[Line]:
    accepted, duplicate = (one.figure(f"faultwatch_rows_{word}_total") for word in ("accepted", "duplicate"))
    rejected = one.by("faultwatch_rows_rejected_total", "reason")
    worst = [f"{int(rows):,} {reason}" for reason, rows in sorted(rejected.items(), key=lambda item: -item[1]) if rows]
    why = f" ({', '.join(worst[:3])})" if worst else ""
    yield "readings", (
        f"since the start {accepted:,.0f} taken, {duplicate:,.0f} here already, {sum(rejected.values()):,.0f}"
        f" refused{why}"
    )
    yield "loop", (
        f"{one.figure('faultwatch_lag_seconds'):.1f} s behind, {one.figure('faultwatch_rows_waiting'):,.0f} readings"
        f" wait, {one.figure('faultwatch_rows_unsaved'):,.0f} not in the lake yet"
    )
    spent = one.by("faultwatch_stage_cpu_seconds_total", "stage")
    scored = one.figure("faultwatch_rows_scored_total")
    if scored >= 1000:
        stages = ", ".join(f"{stage} {1e6 * cpu_s / scored:.1f}" for stage, cpu_s in spent.items() if cpu_s > 0.01)
        yield "processor", f"seconds per million readings: {stages or 'next to nothing'}"
    failures = {what: n for what, n in one.by("faultwatch_storage_failures_total", "what").items() if n}
    if failures:
        told = ", ".join(f"{what} {n:.0f}" for what, n in failures.items())
        yield "storage", f"failed since the start: {told}; the log of the service has the reasons"


def _fleet(settings: "Settings") -> Iterator[Line]:
    """Devices as the loop published them last, which is there without it too."""
    from ..alerts.status import Status

    frame, published_ms = snapshot(settings)
    if published_ms is None:
        yield "devices", "nothing was published yet"
        return
    age_s = max(0.0, time.time() - published_ms / 1000)
    counts = dict(frame.group_by("status").len().iter_rows()) if frame.width else {}
    told = [f"{counts[status]:,} {status.name.lower()}" for status in Status if counts.get(status)]
    heard = frame.filter(frame["last_arrival"] >= published_ms - 60_000).height if frame.width else 0
    past = "" if age_s < 120 else f"; as of {when(published_ms)} UTC, {duration(age_s)} ago"
    yield "devices", f"{frame.height:,}: {', '.join(told) or 'none'}; {heard:,} sent in the last minute{past}"


def snapshot(settings: "Settings") -> "tuple[pl.DataFrame, int | None]":
    """Status and last arrival of every device, and when (ms) that was published; None where it never was."""
    import polars as pl

    from ..telemetry.published import PublishedReader

    folder = settings.data / "published" / "shard-0"
    reader = PublishedReader(folder)
    clock = reader.clock()
    types = [int(path.stem.removeprefix("type-")) for path in folder.glob("type-*.arrow")]
    frames = [frame for type_id in types if (frame := reader.devices(type_id, ["status", "last_arrival"])).width]
    return (pl.concat(frames) if frames else pl.DataFrame()), None if clock is None else clock.published_ms


def _people(settings: "Settings") -> Iterator[Line]:
    """Alerts and notices, from the database itself."""
    from ..exceptions import StorageError
    from ..fleet import figures
    from ..fleet.database import answers, connect, reading

    engine = connect(settings.database_url)
    now_ms = time.time_ns() // 1_000_000
    try:
        answers(engine)
        with reading(engine) as session:
            alerts, notices = figures.open_alerts(session), figures.notices(session, now_ms)
    except StorageError as error:
        yield "alerts", f"not known: {error}"
        return
    finally:
        engine.dispose()
    critical = sum(n for (_, severity), n in alerts.items() if severity == "critical")
    yield "alerts", f"{sum(alerts.values()):,} open, {critical:,} of them critical"
    late = ""
    if notices.oldest_due_ms is not None:
        late = f", the oldest due since {duration((now_ms - notices.oldest_due_ms) / 1000)}"
    yield "notices", f"{notices.pending:,} on their way{late}; {notices.dead:,} given up"


def _disk(settings: "Settings") -> Iterator[Line]:
    from ..checks import free_bytes

    yield "disk", f"{size(free_bytes(settings.data))} free"


def duration(seconds: float) -> str:
    """A length of time as people say it."""
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{int(seconds // length)} {unit}"
    return f"{max(0, int(seconds))} s"


def size(n_bytes: float) -> str:
    """A number of bytes as people say it."""
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if n_bytes < 1024:
            return f"{n_bytes:.0f} {unit}"
        n_bytes /= 1024
    return f"{n_bytes:.1f} TiB"
