"""`faultwatch demo`: two weeks of a simulated fleet, judged by the real thing, then live."""

import multiprocessing
import secrets
import shutil
import signal
import time
from datetime import UTC, datetime, timedelta
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from .exceptions import ConfigError

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from .service.shard import Shard
    from .settings import Settings
    from .simulator.faults import Fault
    from .simulator.fleet import Fleet
    from .telemetry.readings import Readings

OWNER = "Harbour Utilities"
EMAIL = "demo@example.com"
SEED = 7
DEVICES = 200
DAYS = 21
LEARN_DAYS = 7
"""The first week teaches, the two after it are judged: a week knows some weather, and both of its ends."""
FAULTY = 0.05
"""Share of the devices that have a fault some time in the history."""
LIVED = timedelta(minutes=40)
"""The end of the history, lived through minute by minute: silence is a matter of when readings arrive."""
NOTE = "demo.json"
STORY = ("anomaly", "sensor", "site", "silent")
STORY_LENGTH = {"anomaly": 3, "sensor": 1, "site": 1, "silent": 1}


class Note(msgspec.Struct, frozen=True):
    """What a demo remembers of itself, to go on later."""

    start: datetime
    now: datetime
    password: str
    token: str


def demo(
    data: Annotated[Path, typer.Option(help="Folder of the demo's data.", metavar="DIR")] = Path("faultwatch-demo"),
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.")] = 8765,
    fresh: Annotated[bool, typer.Option("--fresh", help="Throw the last demo away and begin again.")] = False,
) -> None:
    """Watch a simulated fleet: two weeks of history with faults, judged, then live.

    A second run goes on with what is there.
    """
    from .logs import configure
    from .serve import run
    from .settings import load_settings

    settings = load_settings(data=data, port=port, log_level="warning")
    configure(settings)
    note = _note(settings, fresh) or _prepare(settings)
    children: list[SpawnProcess] = []

    def ready(address: str, _link: str | None) -> None:
        typer.echo(story(settings, note, address))
        children.append(multiprocessing.get_context("spawn").Process(target=_send, args=(note, address), daemon=True))
        children[0].start()

    try:
        run(settings, ready)
    finally:
        for child in children:
            child.terminate()
            child.join()


def _note(settings: "Settings", fresh: bool) -> Note | None:
    """The demo that is in the data folder, if one is and it is to go on. Raises ConfigError on anything else there."""
    path = settings.data / NOTE
    if path.exists() and not fresh:
        return msgspec.json.decode(path.read_bytes(), type=Note)
    if settings.data.exists() and any(settings.data.iterdir()):
        began = (settings.data / f"{NOTE}.unfinished").exists()
        if not (path.exists() or began):
            raise ConfigError(f"{settings.data} holds something that is no demo; name another folder with --data")
        shutil.rmtree(settings.data)
    return None


def _plan(start: datetime, now: datetime) -> "Fleet":
    """The demo's fleet: some faults in its history, and one of each kind that matters now."""
    from .simulator.faults import Fault
    from .simulator.fleet import Fleet

    fleet = Fleet.plan(seed=SEED, devices=DEVICES, start=start, days=DAYS, faults=FAULTY)
    pumps, displays, inverters = (fleet.group(device_type.name).ids for device_type in fleet.types)
    outage = next(site.id for site in fleet.sites if site.name == "Cold Store 2")
    present = [
        Fault(kind="wear", device_id=pumps[16], start=now - timedelta(hours=132), severity=1.0, sensors=("vibration",)),
        Fault(kind="leak", device_id=displays[3], start=now - timedelta(hours=16), severity=1.0),
        Fault(
            kind="bias", device_id=inverters[8], start=now - timedelta(hours=28), severity=0.9, sensors=("dc_current",)
        ),
        Fault(kind="stuck", device_id=pumps[40], start=now - timedelta(hours=3), sensors=("bearing_temperature",)),
        Fault(kind="silent", device_id=pumps[5], start=now - timedelta(minutes=25)),
        Fault(kind="site_outage", site=outage, start=now - timedelta(minutes=14)),
    ]
    busy = {fault.device_id for fault in present if fault.device_id} | {None}
    earlier = [f for f in fleet.faults if _over(f, now) and f.device_id not in busy]
    return fleet.with_faults([*earlier, *present])


def _over(fault: "Fault", now: datetime) -> bool:
    return fault.end is not None and fault.end < now - timedelta(hours=6)


def _prepare(settings: "Settings") -> Note:
    """Make the demo's data: accounts, types, devices, history by the backfill path, and a lived end."""
    from .fleet import owners, tokens, users
    from .fleet.database import connect, migrate, writing
    from .service.shard import Shard
    from .telemetry.lake import Lake

    settings.data.mkdir(parents=True, exist_ok=True)
    unfinished = settings.data / f"{NOTE}.unfinished"
    unfinished.touch()
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    start = now - timedelta(days=DAYS)
    engine = connect(settings.database_url)
    migrate(engine)
    fleet = _plan(start, now)
    password = secrets.token_urlsafe(9)
    with writing(engine) as session:
        owner_id = owners.add(session, OWNER, _ms(start))
        for site in fleet.sites:
            owners.set_site(session, owner_id, site.id, site.name, site.time_zone, site.latitude, site.longitude)
        token = tokens.create(session, owner_id, "demo fleet", _ms(now))
    users.create(engine, EMAIL, "You", password, "admin", None, _ms(now))
    lived = now - LIVED
    with Shard(settings, engine, Lake(settings.lake_url, settings.storage_options()), now_ms=_ms(lived)) as shard:
        _register(shard, fleet, owner_id, _ms(lived))
        _name_devices(engine)
        rows = _backfill(settings, engine, shard, fleet, owner_id, lived)
        rows += _live_through(shard, fleet, owner_id, lived, now)
        shard.save()
    engine.dispose()
    _tell(f"{rows:,} readings judged")
    note = Note(start, now, password, token)
    (settings.data / NOTE).write_bytes(msgspec.json.encode(note))
    unfinished.unlink()
    return note


def _register(shard: "Shard", fleet: "Fleet", owner_id: int, now_ms: int) -> None:
    for device_type in fleet.types:
        shard.registry.add_type(None, device_type, now_ms)
    type_ids = _type_ids(shard)
    items = fleet.devices().select("device_id", "type", "site").iter_rows()
    shard.registry.register(owner_id, [(device, type_ids[name], site) for device, name, site in items], now_ms)
    shard.sync(now_ms)


def _type_ids(shard: "Shard") -> dict[str, int]:
    return {spec.name: type_id for type_id, spec in shard.registry.types().items()}


def _name_devices(engine: "Engine") -> None:
    """Call `pump-017` Pump 17, as people would."""
    from sqlalchemy import select, update

    from .fleet.database import writing
    from .fleet.models import Device

    with writing(engine) as session:
        for key, device_id in session.execute(select(Device.id, Device.device_id)).all():
            word, _, number = device_id.rpartition("-")
            name = f"{word.capitalize()} {int(number)}"
            session.execute(update(Device).where(Device.id == key).values(name=name))


def _readings(shard: "Shard", fleet: "Fleet", owner_id: int, name: str, start: datetime, end: datetime) -> "Readings":
    """All readings of a type in a span of time, in the form the shard takes."""
    import numpy as np

    from .telemetry.quality import cut_timestamps
    from .telemetry.readings import Readings

    frame = fleet.readings(name, start, end)
    known = shard.registry.lookup(owner_id)
    type_id = _type_ids(shard)[name]
    spec = shard.registry.types()[type_id]
    ts = cut_timestamps(frame["timestamp"].dt.epoch("ms").to_numpy(), spec.resolution_ms)
    values = np.ascontiguousarray(frame.select(spec.sensor_names).to_numpy(), dtype=np.float64)
    return Readings(type_id, known.find(frame["device_id"]).keys, ts, values)


def _backfill(
    settings: "Settings", engine: "Engine", shard: "Shard", fleet: "Fleet", owner_id: int, end: datetime
) -> int:
    """Take the history in as files are: the first days teach each type, the rest is judged."""
    from .service import backfill

    total = 0
    for device_type in fleet.types:
        began = time.monotonic()
        readings = _readings(shard, fleet, owner_id, device_type.name, fleet.start, end)
        job = backfill.spool_job(
            settings.data,
            engine,
            file_name=f"{device_type.name}, simulated",
            file_hash=f"demo-{device_type.name}",
            owner_id=owner_id,
            readings=readings,
            learn=LEARN_DAYS * 1440,
            now_ms=_ms(end),
        )
        backfill.apply_job(shard, settings.data, engine, job.id, _ms(end), lambda _: None)
        backfill.forget_manifest(settings.data, job.id)
        total += len(readings)
        _tell(f"{device_type.title}: {len(readings):,} readings in {time.monotonic() - began:.0f} s")
    return total


def _live_through(shard: "Shard", fleet: "Fleet", owner_id: int, start: datetime, end: datetime) -> int:
    """Live through the last minutes of the history on a clock of its own, as the service does by the wall's."""
    import numpy as np

    from .telemetry import records

    rows = {t.name: _readings(shard, fleet, owner_id, t.name, start, end) for t in fleet.types}
    for minute in range(int((end - start).total_seconds()) // 60):
        now_ms = _ms(start) + 60_000 * minute
        batch: list[records.Record] = [records.Tick(now_ms=now_ms + 15_000)]
        for readings in rows.values():
            chosen = readings.take(np.flatnonzero(readings.ts // 60_000 == now_ms // 60_000))
            if len(chosen):
                batch.append(records.Rows.of(now_ms + 20_000, chosen))
        shard.append_and_apply(batch)
    return sum(map(len, rows.values()))


def _send(note: Note, address: str) -> None:
    """Send the fleet's readings from now on; runs as a process of its own."""
    from .simulator.live import Pace, run
    from .simulator.sending import Pauses, Sender

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    fleet = _plan(note.start, note.now)
    pauses = Pauses(tell=lambda message: typer.echo(message, err=True))
    with Sender(address, note.token, pauses) as sender:
        run(fleet, Pace(datetime.now(UTC)), sender, pauses)


def story(settings: "Settings", note: Note, address: str) -> str:
    """What to look at: of each kind of alert the one with the highest score, in the words of the dashboard."""
    from .alerts.sentences import filled
    from .fleet.access import Access
    from .fleet.database import connect, reading
    from .fleet.principal import Principal
    from .fleet.views import AlertQuery

    engine = connect(settings.database_url)
    now_ms = time.time_ns() // 1_000_000
    with reading(engine) as session:
        found = Access(session, Principal(None, "admin", None)).alerts(AlertQuery(limit=200), now_ms).items
    engine.dispose()
    order = sorted(found, key=lambda alert: -(alert.peak_score or 0))
    shown = [alert for kind in STORY for alert in [a for a in order if a.kind == kind][: STORY_LENGTH[kind]]]
    lines = [
        "",
        f"{DEVICES} devices of three types on ten sites: {address}",
        f"  sign in as {EMAIL} with the password {note.password}",
        "",
        f"{len(found)} alerts are open. Look at:",
    ]
    for alert in shown:
        name = alert.device_name or alert.site or ""
        page = f"/devices/{alert.device_id}" if alert.device_id else f"/alerts/{alert.id}"
        lines += [f"  {name}: {filled(alert.sentence, now_ms - alert.fired_ms)}", f"    {address}{page}"]
    lines += ["", "Readings go on, one a minute from each device. Ctrl-C ends it; `make demo` again goes on.", ""]
    return "\n".join(lines)


def _tell(message: str) -> None:
    typer.echo(message, err=True)


def _ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)
