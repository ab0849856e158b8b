"""A small world for tests of the web, made through the layers that make the real one: fleet database, lake, snapshot.

Readings come from the simulator; what was expected is the same fleet without its faults, which a simulator
whose readings are functions of (seed, device, time) can tell exactly.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
from sqlalchemy import Engine

from ...alerts.status import Status
from ...fleet import models, owners, tokens, users
from ...fleet.access import Principal
from ...fleet.acts import Acts
from ...fleet.administration import Administration
from ...fleet.alerts import AlertChange, Blame, record
from ...fleet.channels import Target
from ...fleet.database import applying, connect, migrate, writing
from ...fleet.fault_reports import FaultReports
from ...fleet.registry import Registry
from ...fleet.rules import NewRule
from ...fleet.secrets import open_secrets
from ...settings import Settings
from ...simulator.faults import Fault
from ...simulator.fleet import Fleet
from ...telemetry.bands import bands_column, pack_bands
from ...telemetry.lake import Lake
from ...telemetry.published import Clock, Publisher
from ...telemetry.records import BadRow, Quarantined
from ...telemetry.schema import DeviceType

THRESHOLD = 6.0
PASSWORD = "correct horse battery"
MINUTE = 60_000
HOUR = 60 * MINUTE


@dataclass
class World:
    """What tests need to know of it."""

    settings: Settings
    engine: Engine
    now_ms: int
    owner_id: int
    other_id: int
    tokens: dict[str, str]
    keys: dict[str, int]
    alerts: dict[str, int]
    types: dict[str, int]
    sites: dict[str, int]
    rules: dict[str, int]
    reports: dict[str, int]
    settings_ids: dict[str, tuple[int, int]]
    faulty: str
    suspect: str
    inverter: str
    spare: str
    silent_site: str


def build(folder: Path, *, now: datetime | None = None, devices: int = 200, days: int = 7) -> World:
    """Make a data folder with two owners, `devices` devices, a day of scored readings (`days` for three of them)."""
    end = (now or datetime.now(UTC)).replace(second=0, microsecond=0)
    now_ms = int(end.timestamp() * 1000)
    folder.mkdir(parents=True, exist_ok=True)
    settings = Settings(data=folder)
    engine = connect(settings.database_url)
    migrate(engine)
    fleet, story = _plan(end, devices, days)
    world = _people(settings, engine, now_ms, story)
    _devices(world, fleet)
    seq = _readings(world, fleet, end, days)
    _alerts(world, fleet, seq)
    _rules(world)
    _settings(world)
    _bad_rows(world)
    return world


def _plan(end: datetime, devices: int, days: int) -> tuple[Fleet, list[str]]:
    plain = Fleet.plan(seed=11, devices=devices, sites=9, start=end - timedelta(days=days + 1))
    groups = {group.model.name: group for group in plain.groups}

    quiet = "cold-store-2"
    home = dict(zip(plain.devices()["device_id"], plain.devices()["site"], strict=True))

    def member(type_name: str, place: int) -> str:
        ids = [str(name) for name in groups[type_name].ids if home[str(name)] != quiet]
        return ids[place % len(ids)]

    faulty, suspect = member("pump_station", 16), member("refrigerated_display", 3)
    inverter = member("solar_inverter", 8)
    faults = [
        Fault(
            kind="wear",
            device_id=faulty,
            start=end - timedelta(hours=5),
            end=end + timedelta(minutes=20),
            severity=1.0,
        ),
        Fault(
            kind="bias",
            device_id=suspect,
            start=end - timedelta(minutes=52),
            severity=0.7,
            sensors=("evaporator_temperature",),
        ),
        Fault(
            kind="drift",
            device_id=inverter,
            start=end - timedelta(hours=3),
            end=end + timedelta(hours=1),
            severity=0.7,
            sensors=("heat_sink_temperature",),
        ),
        Fault(kind="site_outage", site=quiet, start=end - timedelta(minutes=12)),
    ]
    return plain.with_faults(faults), [faulty, suspect, inverter, member("pump_station", -1), quiet]


def _people(settings: Settings, engine: Engine, now_ms: int, story: list[str]) -> World:
    with writing(engine) as session:
        owner_id = owners.add(session, "Harbour Water", now_ms)
        other_id = owners.add(session, "North Grid", now_ms)
        made = {
            "write": tokens.create(session, owner_id, "pumps", now_ms),
            "read": tokens.create(session, owner_id, "script", now_ms, scope="read"),
            "other": tokens.create(session, other_id, "script", now_ms, scope="read"),
        }
    for role in users.ROLES:
        own = owner_id if role in ("owner", "viewer") else None
        users.create(engine, f"{role}@example.com", f"{role.title()} Person", PASSWORD, role, own, now_ms)
    users.create(engine, "other@example.com", "Other Owner", PASSWORD, "owner", other_id, now_ms)
    return World(settings, engine, now_ms, owner_id, other_id, made, {}, {}, {}, {}, {}, {}, {}, *story)


def _devices(world: World, fleet: Fleet) -> None:
    registry = Registry(world.engine)
    with writing(world.engine) as session:
        for site in fleet.sites:
            world.sites[site.id] = owners.set_site(
                session, world.owner_id, site.id, site.name, site.time_zone, site.latitude, site.longitude
            )
    listed = fleet.devices()
    for device_type in fleet.types:
        type_id, _ = registry.add_type(None, device_type, world.now_ms)
        world.types[device_type.name] = type_id
        mine = listed.filter(pl.col("type") == device_type.name)
        items = [(row["device_id"], type_id, row["site"]) for row in mine.iter_rows(named=True)]
        for entry in registry.register(world.owner_id, items, world.now_ms - 30 * 24 * HOUR):
            world.keys[entry.device_id] = entry.key
    first = world.types["pump_station"]
    for entry in registry.register(
        world.other_id, [("pump-001", first, "Moor"), ("moor-2", first, "Moor")], world.now_ms
    ):
        world.keys[f"other/{entry.device_id}"] = entry.key


def _readings(world: World, fleet: Fleet, end: datetime, days: int) -> int:
    """Write a day of every device, `days` of the three with a story, and the snapshot of all."""
    lake = Lake(world.settings.lake_url)
    publisher = Publisher(world.settings.data / "published" / "shard-0")
    story = [world.faulty, world.suspect, world.inverter]
    snapshots, seq = {}, 0
    for device_type in fleet.types:
        type_id = world.types[device_type.name]
        parts = [_scored(world, fleet, device_type, end - timedelta(days=1), end + timedelta(minutes=1), None)]
        told = [name for name in story if name in set(fleet.group(device_type.name).ids)]
        if told:
            parts.append(_scored(world, fleet, device_type, end - timedelta(days=days), end - timedelta(days=1), told))
        frame = pl.concat(parts).unique(["device_key", "timestamp"], keep="first")
        seq += 1
        frame = frame.with_columns(pl.lit(seq, pl.Int64).alias("ingest_seq"))
        lake.append(type_id, frame, app_id="shard-0", version=seq)
        snapshots[type_id] = _snapshot(world, device_type, frame, end)
    publisher.publish(
        Clock(now_ms=world.now_ms, published_ms=world.now_ms, last_seq=seq, applied_seq=seq, lake_seq=seq), snapshots
    )
    return seq


def _scored(
    world: World, fleet: Fleet, device_type: DeviceType, start: datetime, end: datetime, ids: list[str] | None
) -> pl.DataFrame:
    rows = fleet.readings(device_type.name, start, end, ids)
    calm = fleet.with_faults([]).readings(device_type.name, start, end, ids)
    names = list(device_type.sensor_names)
    joined = rows.join(calm, on=["device_id", "timestamp"], how="left", suffix="_calm", maintain_order="left")
    # Nothing came from the faulty device for a while in the night: charts show it as a gap.
    quiet = pl.col("timestamp").is_between(end - timedelta(hours=9), end - timedelta(hours=9, minutes=-25))
    joined = joined.filter(~((pl.col("device_id") == world.faulty) & quiet))
    joined = joined.sort("device_id", "timestamp", maintain_order=True)
    for name in names:
        smooth = pl.col(f"{name}_calm").ewm_mean(half_life=6, ignore_nulls=True).over("device_id")
        joined = joined.with_columns(smooth.alias(f"{name}_centre"))
        spread = (pl.col(f"{name}_calm") - pl.col(f"{name}_centre")).std().over("device_id")
        joined = joined.with_columns((4.0 * spread + 1e-3 * pl.col(f"{name}_centre").abs()).alias(f"{name}_width"))
    values, calmness, centre, width = (
        joined.select(f"{name}{ending}" for name in names).to_numpy().astype(np.float64)
        for ending in ("", "_calm", "_centre", "_width")
    )
    off = np.nan_to_num(np.abs(values - calmness) / np.maximum(width, 1e-9)).max(axis=1)
    gap = pl.DataFrame({"device_id": joined["device_id"], "off": off}).select(
        pl.col("off").ewm_mean(half_life=8).over("device_id")
    )
    noise = np.random.default_rng(5).exponential(0.45, len(joined))
    score = np.minimum(8.2, 2.6 * gap.to_series().to_numpy()) + noise.astype(np.float32)
    every = np.flatnonzero((np.arange(len(joined)) % 10 == 0) | (score > 3))
    packed = pack_bands(centre[every].astype(np.float32), width[every].astype(np.float32))
    return joined.select(
        pl.col("device_id").replace_strict(world.keys, return_dtype=pl.Int64).alias("device_key"), "timestamp", *names
    ).with_columns(
        pl.Series("score", score),
        pl.lit(1, pl.Int32).alias("model_version"),
        pl.lit(False).alias("late"),
        bands_column(packed, every, len(joined)),
        pl.lit(0, pl.Int32).alias("blame"),
        pl.col("timestamp").alias("arrived"),
    )


def _snapshot(world: World, device_type: DeviceType, frame: pl.DataFrame, end: datetime) -> pl.DataFrame:
    quiet = {world.keys[name] for name in world.keys if name in _ids_at(world, world.silent_site)}
    codes = {world.keys[world.faulty]: Status.FAULTY, world.keys[world.suspect]: Status.SUSPECT}
    codes |= {world.keys[world.inverter]: Status.SUSPECT, world.keys[world.spare]: Status.MAINTENANCE} | dict.fromkeys(
        quiet, Status.SILENT
    )
    since = {
        world.keys[world.faulty]: world.now_ms - 192 * MINUTE,
        world.keys[world.suspect]: world.now_ms - 48 * MINUTE,
        world.keys[world.inverter]: world.now_ms - 26 * MINUTE,
    } | dict.fromkeys(quiet, world.now_ms - 6 * MINUTE)
    last = frame.sort("timestamp").group_by("device_key", maintain_order=True).last()
    count = frame.group_by("device_key").len("n_readings")
    ms = pl.col("timestamp").dt.epoch("ms")
    return last.join(count, on="device_key").select(
        "device_key",
        pl.col("device_key")
        .replace_strict({key: int(code) for key, code in codes.items()}, default=int(Status.HEALTHY))
        .cast(pl.UInt8)
        .alias("status"),
        pl.col("device_key").replace_strict(since, default=world.now_ms - 9 * 24 * HOUR).alias("status_since_ms"),
        ms.alias("last_ts"),
        ms.alias("last_arrival"),
        pl.col("score"),
        pl.lit(THRESHOLD, pl.Float32).alias("threshold"),
        pl.col("n_readings").cast(pl.Int64),
        *(pl.col(name).alias(f"value_{name}") for name in device_type.sensor_names),
        *(
            pl.lit(None, pl.Float32).alias(f"{edge}_{name}")
            for edge in ("low", "high")
            for name in device_type.sensor_names
        ),
    )


def _ids_at(world: World, slug: str) -> set[str]:
    with Registry(world.engine)._engine.connect() as connection:  # noqa: SLF001 - a test looks inside
        rows = connection.exec_driver_sql(f"SELECT device_id FROM devices WHERE site_id = {world.sites[slug]}")
        return {row[0] for row in rows}


def _blame(*shares: tuple[str, str, str, float, float, float, float]) -> tuple[Blame, ...]:
    return tuple(
        Blame(sensor=s, label=label, unit=unit, share=share, observed=seen, low=low, high=high)
        for s, label, unit, share, seen, low, high in shares
    )


def _rules(world: World) -> None:
    admin = Principal(1, "admin", None, "Admin Person")
    with writing(world.engine) as session:
        acts = Administration(session, admin, world.now_ms - 3 * HOUR)
        high = NewRule(sensor="discharge_pressure", comparison="above", value=6.5, back=6.2, hold_ms=10 * MINUTE)
        world.rules["own"] = acts.add_rule(world.owner_id, "pump_station", high)
        hot = NewRule(sensor="motor_temperature", comparison="above", value=90.0, back=85.0)
        world.rules["spare own"] = acts.add_rule(world.owner_id, "pump_station", hot)
        low = NewRule(sensor="flow", comparison="below", value=2.0, severity="critical")
        world.rules["other"] = acts.add_rule(world.other_id, "pump_station", low)
        world.rules["spare other"] = acts.add_rule(world.other_id, "pump_station", hot)


def _bad_rows(world: World) -> None:
    """Rows of both owners that were not taken."""

    def bad(owner_id: int, device_id: str, reason: str, message: str) -> BadRow:
        raw = '{"device_id": "' + device_id + '", "values": {"flow": 9999}}'
        return BadRow(owner_id, world.types["pump_station"], device_id, reason, message, raw)

    hot = "flow is 9999 m³/h; its valid range is 0 to 2000 m³/h"
    ahead = "timestamp is 2 hours ahead of this server's clock; it may be 5 minutes at most: set the device's clock"
    rows = [bad(world.owner_id, world.inverter, "out_of_range", hot)] * 12
    rows += [bad(world.owner_id, world.spare, "future", ahead), bad(world.other_id, "moor-2", "out_of_range", hot)]
    record = Quarantined(now_ms=world.now_ms - HOUR, rows=tuple(rows))
    Lake(world.settings.lake_url).quarantine([(1, record)], app_id="shard-0", version=1)


def _settings(world: World) -> None:
    """Channels with a notice that was given up, a spare token and a spare account of either owner; ids (own, other)."""
    secrets = open_secrets(world.settings.secret_key_file)
    made: dict[str, list[int]] = {"channel": [], "spare channel": [], "notice": [], "token": [], "user": []}
    target = Target("webhook", "https://hooks.example.com/faults", "hush")
    with writing(world.engine) as session:
        acts = Administration(session, Principal(1, "admin", None, "Admin Person"), world.now_ms - 2 * HOUR)
        for owner_id, alert, name in ((world.owner_id, "inverter", "On call"), (world.other_id, "other", "Moor desk")):
            channel_id = acts.add_channel(owner_id, secrets, name, target)
            made["channel"].append(channel_id)
            made["spare channel"].append(acts.add_channel(owner_id, secrets, f"{name}, spare", target))
            told = {
                "event": "firing",
                "alert": {"sentence": "Flow is odd."},
                "device": {"name": "moor-2"},
                "site": None,
            }
            if owner_id == world.owner_id:
                told = {**told, "device": {"name": world.inverter}}
            row = models.Outbox(
                idempotency_key=f"dead-{owner_id}",
                alert_id=world.alerts[alert],
                channel_id=channel_id,
                payload=told,
                state="dead",
                attempts=12,
                created_ms=world.now_ms - HOUR,
                next_attempt_ms=world.now_ms,
                last_error="the webhook answered 503; expected 2xx",
            )
            session.add(row)
            session.flush()
            made["notice"].append(row.id)
            acts.add_token(owner_id, "spare")
            made["token"].append(max(entry.id for entry in tokens.all_tokens(session)))
            spare = acts.add_user(f"spare-{owner_id}@example.com", "Spare Person", "", "viewer", owner_id)
            made["user"].append(spare.id)
    world.settings_ids = {name: (own, other) for name, (own, other) in made.items()}


def _alerts(world: World, fleet: Fleet, seq: int) -> None:
    now = world.now_ms
    rows = fleet.devices()
    home = dict(zip(rows["device_id"], rows["site"], strict=True))

    def change(name: str, kind: str, minutes: int, signs: int, sentence: str, **more: object) -> AlertChange:
        fields: dict[str, object] = {
            "owner_id": world.owner_id,
            "device_key": world.keys[name],
            "site_id": world.sites[home[name]],
            "kind": kind,
            "to_state": "firing",
            "at_ms": now - minutes * MINUTE,
            "first_signs_ms": now - signs * MINUTE,
            "pending_ms": now - (minutes + 2) * MINUTE,
            "sentence": sentence,
            "model_version": 1,
        }
        return AlertChange(**{**fields, **more})  # type: ignore[arg-type]

    pump = (
        "Vibration is 2.5 mm/s above what is normal for this pump at this hour, and bearing temperature rose with it."
    )
    display = "Evaporator temperature is 3.4 °C below what is normal for this display at this hour."
    inverter = "Heat sink temperature is 6 °C below what is normal for this inverter in this sun."
    opened = {
        "faulty": change(
            world.faulty, "anomaly", 192, 231, pump, severity="critical", score=8.4, peak_score=9.1,
            blame=_blame(
                ("vibration", "Vibration", "mm/s", 0.61, 4.1, 1.1, 1.6),
                ("bearing_temperature", "Bearing temperature", "°C", 0.27, 58.1, 36.5, 38.1),
                ("motor_current", "Motor current", "A", 0.08, 35.4, 32.6, 36.9),
            ),
        ),
        "suspect": change(
            world.suspect, "anomaly", 48, 52, display,
            score=6.9,
            blame=_blame(("evaporator_temperature", "Evaporator temperature", "°C", 0.88, -18.2, -24.0, -21.6)),
        ),
        "inverter": change(
            world.inverter, "anomaly", 26, 140, inverter,
            score=6.4, blame=_blame(("heat_sink_temperature", "Heat sink temperature", "°C", 0.74, 58.0, 44.0, 52.0)),
        ),
        "site": AlertChange(
            owner_id=world.owner_id, device_key=None, site_id=world.sites[world.silent_site], kind="site",
            to_state="firing",
            at_ms=now - 6 * MINUTE, first_signs_ms=now - 12 * MINUTE, pending_ms=now - 7 * MINUTE, severity="critical",
            sentence="No reading from any device at Cold Store 2. Likely power or network, not the devices.",
        ),
    }  # fmt: skip
    moor = AlertChange(
        owner_id=world.other_id,
        device_key=world.keys["other/moor-2"],
        site_id=None,
        kind="anomaly",
        to_state="firing",
        at_ms=now - HOUR,
        sentence="Flow at the moor is odd.",
    )
    opened["other"] = moor
    others = [name for name in home if name not in (world.faulty, world.suspect, world.inverter, world.spare)]
    done = []
    for k in range(14):
        past = change(others[k * 7 % len(others)], ("silent", "anomaly", "sensor")[k % 3], 75 + 95 * k, 80 + 95 * k,
                      ("No reading for 9 minutes.", "Flow is 4.2 m³/h below what is normal for this pump at this hour.",
                       "Suction pressure has not changed for 42 minutes; it looks stuck.")[k % 3], rule=k)  # fmt: skip
        done += [past]
    with applying(world.engine) as session:
        ids = record(session, 0, seq, [*done, *opened.values()], now)
        closing = [
            AlertChange(owner_id=c.owner_id, device_key=c.device_key, site_id=c.site_id, kind=c.kind, rule=c.rule,
                        to_state="resolved", at_ms=c.at_ms + (14 + i * 3) * MINUTE, resolution="Back to normal.")
            for i, c in enumerate(done)
        ]  # fmt: skip
        record(session, 0, seq + 1, closing, now)
    world.alerts = {name: int(ids[len(done) + i] or 0) for i, name in enumerate(opened)}
    operator = Principal(2, "operator", None, "Operator Person")
    with writing(world.engine) as session:
        Acts(session, operator, now - 90 * MINUTE).confirm(world.alerts["faulty"], "bearing_wear")
        for name, device in (("own", world.spare), ("other", "other/moor-2")):
            reports = FaultReports(session, operator, now - 80 * MINUTE)
            made = reports.add(world.keys[device], "leak", now - 30 * HOUR, now - 20 * HOUR)
            world.reports[name] = made.report_id
        spare = world.keys[world.spare]
        Acts(session, operator, now).maintenance(spare, now - HOUR, now + 2 * HOUR, "Seal replaced")
