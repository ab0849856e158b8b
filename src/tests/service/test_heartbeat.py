"""The heartbeat: a real receiver hears it while the loop keeps up, and only then."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import structlog

from ...exceptions import ConfigError
from ...metrics import Metrics
from ...service.heartbeat import Heartbeat
from .heartbeat_receiver import PATH, Receiver, receiving


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as state:
        yield state


@contextmanager
def beating(
    url: str, fault: Callable[[], str | None], metrics: Metrics, every_s: float = 0.03, timeout_s: float = 5.0
) -> Iterator[Heartbeat]:
    """A heartbeat that is much faster than one a minute."""
    heartbeat = Heartbeat(url, fault, metrics, every_s, timeout_s)
    heartbeat.start()
    yield heartbeat
    heartbeat.stop()


def until(wanted: Callable[[], bool]) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + 20
    while not wanted():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def counts(metrics: Metrics) -> dict[str, int]:
    """Heartbeats by what became of them."""
    text = metrics.text().decode()
    lines = [line for line in text.splitlines() if line.startswith("faultwatch_heartbeats_total{")]
    return {line.split('"')[1]: int(float(line.rpartition(" ")[2])) for line in lines}


def test_it_beats_while_the_loop_keeps_up_and_is_withheld_while_it_does_not(receiver: Receiver) -> None:
    faults: list[str | None] = [None]
    metrics = Metrics()
    with structlog.testing.capture_logs() as logged, beating(receiver.url, lambda: faults[0], metrics):
        until(lambda: len(receiver.asked) >= 3)
        faults[0] = "the scorer is 130 s behind"
        until(lambda: counts(metrics)["withheld"] >= 1)
        heard = len(receiver.asked)
        until(lambda: counts(metrics)["withheld"] >= 4)
        assert len(receiver.asked) == heard
        faults[0] = None
        until(lambda: len(receiver.asked) > heard)
    assert set(receiver.asked) == {PATH}
    withheld = next(line for line in logged if line["event"] == "heartbeat.withheld")
    assert withheld["reason"] == "the scorer is 130 s behind"
    assert "secret" not in str(logged)


@pytest.mark.parametrize(("status", "reason"), [(500, "it answered 500; expected 2xx"), (302, "leads elsewhere")])
def test_what_is_not_taken_is_told_without_the_address(receiver: Receiver, status: int, reason: str) -> None:
    receiver.status = status
    metrics = Metrics()
    with structlog.testing.capture_logs() as logged, beating(receiver.url, lambda: None, metrics):
        until(lambda: counts(metrics)["failed"] >= 2)
    assert counts(metrics)["sent"] == 0
    assert set(receiver.asked) == {PATH}, "a redirect isn't followed"
    assert reason in logged[0]["reason"]
    assert "secret" not in str(logged)


def test_a_receiver_that_hangs_or_is_gone_stops_nothing(receiver: Receiver) -> None:
    metrics = Metrics()
    receiver.answering.clear()
    with beating(receiver.url, lambda: None, metrics, timeout_s=0.1):
        until(lambda: counts(metrics)["failed"] >= 2)
        receiver.answering.set()
        until(lambda: counts(metrics)["sent"] >= 1)
    with structlog.testing.capture_logs() as logged, beating(f"http://127.0.0.1:9{PATH}", lambda: None, metrics):
        until(lambda: bool(logged))
    assert (logged[0]["host"], logged[0]["reason"]) == ("127.0.0.1", "ConnectError")


def test_ending_does_not_wait_for_an_answer(receiver: Receiver) -> None:
    receiver.answering.clear()
    with beating(receiver.url, lambda: None, Metrics(), timeout_s=20):
        until(lambda: bool(receiver.asked))
        began = time.monotonic()
    assert time.monotonic() - began < 1


@pytest.mark.parametrize("url", ["ftp://example.com/x", "file:///etc/passwd", "example.com/ping", "http:///nothing"])
def test_only_http_and_https_are_asked(url: str) -> None:
    with pytest.raises(ConfigError, match="expected http://HOST"):
        Heartbeat(url, lambda: None, Metrics())
