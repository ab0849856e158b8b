"""The sender of the outbox: at least once, in order, one retry after another, nobody waits for a slow channel."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, select

from ...exceptions import ConflictError, StorageError
from ...fleet import alerts, channels, database, models, outbox, owners
from ...fleet.alerts import AlertChange
from ...fleet.registry import Registry
from ...fleet.secrets import Secrets, open_secrets
from ...service import notifier as notifier_module
from ...service.notifier import MAX_ATTEMPTS, Notifier, retry_ms
from ...telemetry.schema import DeviceType, Sensor
from .receivers import Receiver, receiver

NOW_MS = 1_764_000_000_000


class Clock:
    """A wall clock that the test moves."""

    def __init__(self) -> None:
        self.ms = NOW_MS

    def __call__(self) -> int:
        return self.ms


@dataclass
class Setting:
    """A database with a device, a receiver, and a notifier that sends when the test says so."""

    engine: Engine
    secrets: Secrets
    taker: Receiver
    clock: Clock
    notifier: Notifier
    owner_id: int
    device_key: int
    seq: int = 0

    def channel(self, path: str) -> None:
        """Add a webhook."""
        with database.writing(self.engine) as session:
            target = channels.Target("webhook", self.taker.url + path, "hush")
            channels.add(session, self.secrets, self.owner_id, path, target, NOW_MS)

    def fire(self, kind: str = "anomaly", to_state: str = "firing") -> None:
        """Let an alert happen."""
        self.seq += 1
        change = AlertChange(
            owner_id=self.owner_id,
            device_key=self.device_key,
            site_id=None,
            kind=kind,
            to_state=to_state,  # type: ignore[arg-type]
            at_ms=NOW_MS,
            sentence="Something is odd.",
        )
        with database.applying(self.engine) as session:
            alerts.record(session, 0, self.seq, [change], NOW_MS)

    def send(self) -> None:
        """Send what is due, and wait for it."""
        for task in self.notifier.send_due():
            task.result(timeout=20)

    def rows(self) -> list[tuple[str, int, str | None]]:
        """State, attempts and last error of each notice."""
        with database.reading(self.engine) as session:
            found = session.scalars(select(models.Outbox).order_by(models.Outbox.id))
            return [(row.state, row.attempts, row.last_error) for row in found]


@pytest.fixture
def setting(database_url: str, tmp_path: Path) -> Iterator[Setting]:
    engine = database.connect(database_url)
    database.migrate(engine)
    secrets = open_secrets(tmp_path / "secret.key")
    with database.writing(engine) as session:
        owner_id = owners.add(session, "Nordwind", NOW_MS)
    registry = Registry(engine)
    pump, _ = registry.add_type(None, DeviceType(name="pump", sensors=(Sensor(name="pressure"),)), NOW_MS)
    [device] = registry.register(owner_id, [("pump-1", pump, None)], NOW_MS)
    clock = Clock()
    with receiver() as taker:
        notifier = Notifier(engine, secrets, "http://faults", clock, lambda: 0.0, "all")
        yield Setting(engine, secrets, taker, clock, notifier, owner_id, device.key)
        taker.hanging.set()
        notifier.stop()
    engine.dispose()


def test_a_notice_is_sent_once(setting: Setting) -> None:
    setting.channel("/a")
    setting.fire()
    setting.send()
    setting.send()
    assert setting.taker.paths() == ["/a"]
    assert setting.rows() == [("sent", 1, None)]


def test_beginning_and_end_come_in_their_order(setting: Setting) -> None:
    setting.channel("/a")
    setting.taker.answers["/a"] = [500]
    setting.fire()
    setting.fire(to_state="resolved")
    for _ in range(4):
        setting.send()
        setting.clock.ms += 5000
    news = [msgspec.json.decode(request.body)["event"] for request in setting.taker.got]
    assert news == ["firing", "firing", "resolved"]
    assert setting.taker.got[0].headers["Idempotency-Key"] == setting.taker.got[1].headers["Idempotency-Key"]


def test_a_channel_that_fails_is_tried_later_and_later_and_then_never(setting: Setting) -> None:
    setting.channel("/a")
    setting.taker.answers["/a"] = [503] * 100
    setting.fire()
    tried = []
    for _ in range(MAX_ATTEMPTS):
        before = len(setting.taker.got)
        setting.send()
        assert len(setting.taker.got) == before + 1
        setting.send()  # too early
        assert len(setting.taker.got) == before + 1
        wait_ms = retry_ms(before + 1, 0.0)
        tried.append(wait_ms)
        setting.clock.ms += wait_ms or 0
    assert tried[:3] == [5000, 10_000, 20_000] and tried[-2:] == [3_600_000, None]
    [(state, attempts, error)] = setting.rows()
    assert (state, attempts) == ("dead", MAX_ATTEMPTS) and "answered 503" in str(error)
    setting.clock.ms += 10**9
    setting.send()
    assert len(setting.taker.got) == MAX_ATTEMPTS


def test_a_channel_that_fails_rests_with_all_its_notices(setting: Setting) -> None:
    setting.channel("/a")
    setting.taker.answers["/a"] = [500]
    setting.fire()
    setting.fire("silent")
    setting.send()
    setting.send()
    assert len(setting.taker.got) == 1
    setting.clock.ms += 5000
    setting.send()
    assert len(setting.taker.got) == 3
    assert [state for state, _, _ in setting.rows()] == ["sent", "sent"]


def test_one_slow_channel_does_not_hold_the_others(setting: Setting) -> None:
    setting.channel("/hang")
    setting.channel("/quick")
    setting.fire()
    slow = setting.notifier.send_due()
    setting.taker.wait_for(2)
    setting.fire("silent")
    again = []
    deadline = time.monotonic() + 5
    while len(setting.taker.got) < 3 and time.monotonic() < deadline:  # until the first is marked as sent
        again += setting.notifier.send_due()
        time.sleep(0.02)
    assert sorted(setting.taker.paths()) == ["/hang", "/quick", "/quick"]
    setting.taker.hanging.set()
    for task in (*slow, *again):
        task.result(timeout=10)
    setting.send()
    assert sorted(setting.taker.paths()) == ["/hang", "/hang", "/quick", "/quick"]


def test_a_channel_of_another_key_is_a_failure_that_people_can_read(setting: Setting, tmp_path: Path) -> None:
    setting.channel("/a")
    setting.fire()
    other = Notifier(
        setting.engine, open_secrets(tmp_path / "other.key"), "http://x", setting.clock, lambda: 0.0, "all"
    )
    for task in other.send_due():
        task.result(timeout=10)
    other.stop()
    [(state, attempts, error)] = setting.rows()
    assert (state, attempts) == ("pending", 1) and "put back the key file" in str(error)


def test_it_sends_in_the_background_and_stops(setting: Setting) -> None:
    setting.channel("/a")
    background = Notifier(setting.engine, setting.secrets, "http://x", setting.clock, lambda: 0.0, "all")
    background.start()
    setting.fire()
    setting.taker.wait_for(1)
    background.stop()
    assert setting.rows() == [("sent", 1, None)]


def test_a_database_that_is_away_is_waited_for(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    setting.channel("/a")
    setting.fire()
    turns: list[int] = []
    real: Callable[..., list[outbox.Notice]] = outbox.due

    def due(*arguments: object, **more: object) -> list[outbox.Notice]:
        turns.append(1)
        if len(turns) < 3:
            raise StorageError("the database doesn't answer")
        return real(*arguments, **more)

    monkeypatch.setattr(outbox, "due", due)
    monkeypatch.setattr(notifier_module, "POLL_S", 0.01)
    background = Notifier(setting.engine, setting.secrets, "http://x", setting.clock, lambda: 0.0, "all")
    background.start()
    setting.taker.wait_for(1)
    background.stop()


CRASH = """
import sys, time
from {root}.fleet import database, outbox
from {root}.fleet.secrets import open_secrets
from {root}.service.notifier import Notifier
outbox.mark_sent = lambda *arguments: time.sleep(60)  # the channel has it, the database doesn't know yet
notifier = Notifier(database.connect(sys.argv[1]), open_secrets(__import__("pathlib").Path(sys.argv[2])), "http://x",
                    lambda: {now}, lambda: 0.0, "all")
notifier.start()
time.sleep(60)
"""


def test_a_crash_between_sending_and_marking_costs_one_duplicate(setting: Setting, tmp_path: Path) -> None:
    setting.channel("/a")
    setting.fire()
    root = __package__.partition(".")[0]
    url = setting.engine.url.render_as_string(hide_password=False)
    crashing = subprocess.Popen(
        [sys.executable, "-c", CRASH.format(root=root, now=NOW_MS), url, str(tmp_path / "secret.key")],
        cwd=Path(__file__).parents[3],
    )
    setting.taker.wait_for(1, 30)
    crashing.send_signal(signal.SIGKILL)
    crashing.wait(timeout=10)
    deadline = time.monotonic() + 10
    while setting.rows()[0][0] != "sent" and time.monotonic() < deadline:
        setting.send()  # SQLite frees the killed writer's lock at once, PostgreSQL when it notices
    keys = [request.headers["Idempotency-Key"] for request in setting.taker.got]
    assert len(keys) == 2 and len(set(keys)) == 1
    assert setting.rows() == [("sent", 1, None)]


@given(st.integers(1, MAX_ATTEMPTS - 1), st.floats(0, 1))
def test_retries_wait_at_least_half_of_what_doubles(attempts: int, chance: float) -> None:
    longest = min(3_600_000, 5_000 * 2 ** (attempts - 1))
    wait_ms = retry_ms(attempts, chance)
    assert wait_ms is not None and longest / 2 <= wait_ms <= longest


def trial(setting: Setting, channel: str = "/a") -> None:
    """Somebody tries a channel out."""
    with database.writing(setting.engine) as session:
        channel_id = channels.find(session, setting.owner_id, channel)
        outbox.queue_trial(session, channel_id, "Nordwind", channel, setting.clock())


def rest(setting: Setting, disabled: bool) -> None:
    """Let the channel rest, or wake it."""
    with database.writing(setting.engine) as session:
        session.get_one(models.Channel, 1).disabled = disabled


def test_a_trial_is_tried_once_and_says_what_came_of_it(setting: Setting) -> None:
    setting.channel("/a")
    setting.taker.answers["/a"] = [500]
    trial(setting)
    trial(setting)
    setting.send()
    [(state, attempts, error)] = setting.rows()
    assert (state, attempts) == ("dead", 1) and error is not None and "answered 500" in error
    trial(setting)
    setting.clock.ms += 1
    setting.send()
    assert setting.rows()[-1] == ("sent", 1, None)
    bodies = [msgspec.json.decode(request.body) for request in setting.taker.got]
    assert [body["event"] for body in bodies] == ["test", "test"] and bodies[0]["title"] == "Test: Nordwind"


def test_a_channel_that_rests_after_a_failure_takes_a_trial(setting: Setting) -> None:
    setting.channel("/a")
    setting.taker.answers["/a"] = [500]
    setting.fire()
    setting.send()
    trial(setting)
    setting.send()
    assert [row[0] for row in setting.rows()] == ["pending", "sent"]


def test_a_disabled_channel_is_told_of_what_waited_and_of_nothing_since(setting: Setting) -> None:
    setting.channel("/a")
    setting.fire()
    rest(setting, True)
    setting.fire(kind="silent")
    setting.send()
    assert setting.taker.got == [] and len(setting.rows()) == 1
    rest(setting, False)
    setting.send()
    assert setting.rows() == [("sent", 1, None)]


def test_a_notice_that_was_given_up_can_be_tried_again(setting: Setting) -> None:
    setting.channel("/a")
    setting.taker.answers["/a"] = [500] * MAX_ATTEMPTS
    setting.fire()
    for _ in range(MAX_ATTEMPTS):
        setting.send()
        setting.clock.ms += 3_600_000
    assert setting.rows()[0][:2] == ("dead", MAX_ATTEMPTS)
    with database.writing(setting.engine) as session:
        outbox.try_again(session, 1, setting.clock())
    setting.send()
    assert setting.rows() == [("sent", 1, None)]
    with pytest.raises(ConflictError, match="was not given up"), database.writing(setting.engine) as session:
        outbox.try_again(session, 1, setting.clock())
