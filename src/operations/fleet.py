"""Examines what faultwatch does for a fleet: models, the health of data, notifications, and whether it runs."""

import time
from collections.abc import Iterator

import polars as pl
from sqlalchemy import Engine

from ..alerts.status import Status
from ..exceptions import FaultwatchError
from ..fleet import figures
from ..fleet.channels import decrypted
from ..fleet.database import reading
from ..fleet.secrets import open_secrets
from ..service.model_store import ModelStore
from ..settings import Settings
from ..telemetry.lake import Lake
from .asking import ask
from .findings import Finding
from .running import notes
from .status import duration, snapshot

DAY_MS = 86_400_000
LOOKED_AT = 20_000
"""Rows of the quarantine that are looked at, newest first."""
SILENT_SHARE = 0.1
LATE_S = 900.0

WAY_OUT = {
    "future": "set the clocks of these devices right",
    "too_old": "such rows are for `faultwatch ingest`",
    "unknown_type": "`faultwatch types list` shows the types there are",
    "unknown_device": "register them, or give a token that may: `faultwatch tokens create --register`",
    "forbidden_device": "give each device the token made for it",
    "unknown_sensor": "`faultwatch types add` takes a newer version of the type with this sensor",
    "out_of_range": "see whether the type's valid range fits, or the sensor is broken",
    "conflict": "these devices send different values for the same time: see whether two share an id",
}


class Fleet:
    """Looks at the work of one data folder; changes nothing."""

    def __init__(self, settings: Settings, engine: Engine, lake: Lake) -> None:
        self._settings = settings
        self._engine = engine
        self._lake = lake

    def models(self) -> Iterator[Finding]:
        """Whether each type has a model that can be read."""
        store = ModelStore(self._settings.data / "models", self._engine)
        with reading(self._engine) as session:
            champions = figures.champions(session)
        if not champions:
            yield Finding("warn", "models", "there is no device type yet; `faultwatch types add` makes one known")
        for type_id, name, folder, version in champions:
            if folder is None or version is None:
                needed = f"{self._settings.learn_readings:,}"
                yield Finding("ok", "models", f"{name}: none yet, it learns by itself from {needed} readings")
                continue
            try:
                store.load(type_id, folder, version)
            except FaultwatchError as error:
                yield Finding("fail", "models", f"{name}: version {version}: {error}")
            else:
                yield Finding("ok", "models", f"{name}: version {version}")

    def data_health(self) -> Iterator[Finding]:
        """How many devices are silent, and what is refused."""
        frame, published_ms = snapshot(self._settings)
        if published_ms is None or frame.is_empty():
            yield Finding("warn", "devices", "none has sent yet; the dashboard shows how to send the first reading")
        else:
            silent = frame.filter(pl.col("status") == int(Status.SILENT)).height
            words = f"{silent:,} of {frame.height:,} are silent"
            level = "warn" if silent > SILENT_SHARE * frame.height else "ok"
            advice = "; see whether their site has power and network, and senders reach this address"
            yield Finding("warn" if level == "warn" else "ok", "devices", words + (advice if level == "warn" else ""))
        yield from self._refused()

    def _refused(self) -> Iterator[Finding]:
        now_ms = time.time_ns() // 1_000_000
        rows = self._lake.read_quarantine(start_ms=now_ms - DAY_MS, limit=LOOKED_AT)
        if rows.is_empty():
            yield Finding("ok", "refused", "no reading was refused within a day")
            return
        reason, n = rows["reason"].value_counts(sort=True, name="n").row(0)
        example = rows.filter(pl.col("reason") == reason).row(0, named=True)
        total = f"{rows.height:,}" if rows.height < LOOKED_AT else f"{LOOKED_AT:,} or more"
        way_out = WAY_OUT.get(str(reason), "the page of the device has them")
        yield Finding(
            "warn",
            "refused",
            f"{total} readings within a day, {n:,} of them {reason}, such as device {example['device_id']!r}:"
            f" {example['message']}; {way_out}",
        )

    def notifications(self) -> Iterator[Finding]:
        """Whether there is somebody to tell, and the telling works."""
        if not self._settings.notifications:
            yield Finding("warn", "notices", "the setting `notifications` is off: nobody is told of alerts")
            return
        now_ms = time.time_ns() // 1_000_000
        with reading(self._engine) as session:
            channels, notices = figures.channels(session), figures.notices(session, now_ms)
        if not channels:
            yield Finding(
                "warn", "notices", "there is no channel, so nobody is told; `faultwatch channels add` makes one"
            )
            return
        if self._settings.secret_key_file.exists():
            secrets = open_secrets(self._settings.secret_key_file)
            for _, kind, address, secret in channels:
                decrypted(secrets, kind, address, secret)
        else:
            yield Finding("fail", "notices", f"{self._settings.secret_key_file} is gone: restore it from a backup")
            return
        late_s = 0.0 if notices.oldest_due_ms is None else (now_ms - notices.oldest_due_ms) / 1000
        words = f"{len(channels)} channels, {notices.pending:,} notices on their way, {notices.dead:,} given up"
        if late_s > LATE_S:
            yield Finding("fail", "notices", f"{words}; the oldest waits {duration(late_s)}: see whether the loop runs")
        elif notices.dead:
            yield Finding("warn", "notices", f"{words}: try each channel with `faultwatch channels test`")
        else:
            yield Finding("ok", "notices", words)

    def service(self) -> Iterator[Finding]:
        """Whether it runs, and is ready."""
        said = [ask(note) for note in notes(self._settings.data)]
        if not said:
            yield Finding("warn", "service", "not running; `faultwatch serve` starts it")
        if self._settings.heartbeat_url is None:
            yield Finding(
                "warn", "heartbeat", "heartbeat_url is not set: nobody is told when faultwatch itself is down"
            )
        for one in said:
            if one.ready is None:
                yield Finding("fail", "service", f"role {one.note.role}, process {one.note.pid}: {one.silence}")
            elif faults := [f"{name}: {words}" for name, words in one.ready.checks.items() if words != "ok"]:
                yield Finding("fail", "service", f"role {one.note.role} is not ready: {'; '.join(faults)}")
            else:
                yield Finding("ok", "service", f"role {one.note.role} is ready at {one.note.url}")
