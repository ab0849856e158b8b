"""Examines whether a release may go to production: docs/how-to/production-checklist.md, item by item."""

import time
from collections.abc import Iterator
from pathlib import Path

import httpx
from sqlalchemy import Engine

from .. import __version__
from ..exceptions import FaultwatchError
from ..fleet import audit, channels, figures
from ..fleet.database import newest_revision, reading, revision, writing
from ..fleet.outbox import time_text
from ..fleet.secrets import open_secrets
from ..service.channels import deliver, trial_message
from ..service.guard import Guard
from ..settings import Settings, explain, unknown_variables
from ..telemetry.lake import Lake
from . import installed, release
from .asking import ask
from .findings import Examination, Finding
from .project import Project
from .running import notes


class _TakenBack(Exception):
    """Ends a transaction that was a try."""


class Production:
    """Looks at one data folder as what is about to be a release; `checkout` is the project, where it is there.

    Leaves no trace, but for a test message to each channel, and the settings where `accept` says to write them down.
    """

    def __init__(
        self,
        settings: Settings,
        engine: Engine,
        lake: Lake,
        checkout: Path | None,
        environment: str,
        accept: bool,
    ) -> None:
        self._settings = settings
        self._engine = engine
        self._lake = lake
        self._checkout = checkout
        self._accept = accept
        self._project = Project(checkout, environment)

    def examinations(self) -> Iterator[tuple[str, Examination]]:
        """Every item of the checklist, in its order, by its subject; the long ones last."""
        yield "frozen", self.frozen
        yield "dependents", self.dependents
        yield "format", self._project.formatting
        yield "drift", self._project.drift
        yield "variables", self.variables
        yield "required", self.required
        yield "accepted", self.accepted
        yield "audit log", self.audit_log
        yield "channels", self.channels
        yield "ml tests", self._project.ml_tests
        yield "infra tests", self._project.infrastructure_tests

    def frozen(self) -> Iterator[Finding]:
        """Whether each dependency is one version with hashes, and that version is installed."""
        lock = installed.find_lock(self._checkout)
        if lock is None:
            yield Finding("fail", "frozen", "no requirements.txt beside this Python; run the image, or from a checkout")
            return
        found = list(installed.complaints(lock.read_text(encoding="utf-8")))
        if found:
            more = f", and {len(found) - 3} more" if len(found) > 3 else ""
            words = f"{'; '.join(found[:3])}{more}: expected what {lock} locks: `make setup` installs it"
            yield Finding("fail", "frozen", words)
        else:
            yield Finding("ok", "frozen", f"what {lock} locks is installed")

    def dependents(self) -> Iterator[Finding]:
        """Whether database, lake and every process of the service are up, and of this version."""
        found, newest = revision(self._engine), newest_revision()
        if found != newest:
            words = f"the database is at revision {found}, this version's is {newest}: `faultwatch migrate`"
            yield Finding("fail", "dependents", words)
        self._lake.answers()
        said = [ask(note) for note in notes(self._settings.data)]
        if not said:
            yield Finding("fail", "dependents", "the service does not run on this data folder: `faultwatch serve`")
        for one in said:
            who = f"role {one.note.role} at {one.note.url}"
            if one.ready is None:
                yield Finding("fail", "dependents", f"{who}: {one.silence}")
            elif not one.ready.ready:
                yield Finding("fail", "dependents", f"{who} is not ready: `faultwatch status` says why")
            elif one.note.version != __version__:
                yield Finding("fail", "dependents", f"{who} is version {one.note.version}, this is {__version__}")
            else:
                yield Finding("ok", "dependents", f"{who} is ready, with database and lake, version {__version__}")

    def variables(self) -> Iterator[Finding]:
        """Whether each FAULTWATCH_* variable sets something."""
        found = unknown_variables()
        for complaint in found:
            yield Finding("fail", "variables", complaint)
        if not found:
            yield Finding("ok", "variables", "each FAULTWATCH_* is a setting")

    def required(self) -> Iterator[Finding]:
        """Whether what production can't do without is set."""
        given = {line.name for line in explain(self._settings) if line.source != "default"}
        missing = []
        if "base_url" not in given or not self._settings.base_url.startswith("https://"):
            missing.append(
                "base_url, an https:// address: links in notices begin with it, and cookies are secure by it"
            )
        if self._settings.heartbeat_url is None:
            missing.append("heartbeat_url: else nobody is told when faultwatch itself is down")
        if not self._settings.notifications:
            missing.append("notifications, which are off: nobody is told of alerts")
        if self._settings.tls_cert is None and self._settings.trusted_proxies is None:
            missing.append("tls_cert, or trusted_proxies with what stands in front and has the certificate")
        for words in missing:
            yield Finding("fail", "required", f"set {words}")
        if not missing:
            yield Finding("ok", "required", "base_url, heartbeat_url, notifications, and TLS or a proxy are set")
        if self._settings.log_format != "json":
            yield Finding("warn", "required", "log_format is console: set json where a program reads the log")

    def accepted(self) -> Iterator[Finding]:
        """Whether the settings are those that the last release was accepted with."""
        if self._accept:
            path = release.accept(self._settings)
            yield Finding("ok", "accepted", f"the settings in force are written down in {path}")
            return
        last = release.read(self._settings.data)
        if last is None:
            words = "no release was accepted here: look at `faultwatch settings`, then give --accept-settings"
            yield Finding("fail", "accepted", words)
            return
        found = list(release.changes(last, self._settings))
        for words in found:
            yield Finding("fail", "accepted", f"since {last.version}: {words}; --accept-settings, where that is meant")
        if not found:
            yield Finding("ok", "accepted", f"settings are those that version {last.version} was accepted with")

    def audit_log(self) -> Iterator[Finding]:
        """Whether an act could be written down now; what was written is taken back."""
        try:
            with writing(self._engine) as session:
                audit.write(session, audit.COMMAND_LINE, "doctor.production", "audit log", "", _now_ms())
                session.flush()
                raise _TakenBack
        except _TakenBack:
            yield Finding("ok", "audit log", "critical acts can be written down")

    def channels(self) -> Iterator[Finding]:
        """Whether each owner's channels take a test message, sent now."""
        if not self._settings.secret_key_file.exists():
            yield Finding(
                "fail", "channels", f"{self._settings.secret_key_file} is not there; `faultwatch serve` makes it"
            )
            return
        secrets, at_ms = open_secrets(self._settings.secret_key_file), _now_ms()
        with reading(self._engine) as session:
            places = [
                (owner, name, channels.target(session, secrets, owner_id, name))
                for owner_id, owner, name in figures.enabled_channels(session)
            ]
        if not places:
            yield Finding("fail", "channels", "there is none, so nobody is told; `faultwatch channels add` makes one")
        guard = Guard(self._settings.notify_private_networks)
        for owner, name, target in places:
            what = trial_message(owner, name, time_text(at_ms), self._settings.base_url)
            try:
                with httpx.Client() as client:
                    deliver(target, what, at_ms // 1000, client, guard)
            except FaultwatchError as error:
                yield Finding("fail", "channels", f"{name!r} of {owner}: {error}")
            else:
                yield Finding("ok", "channels", f"{name!r} of {owner} took a test message")


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
