"""`faultwatch send`: what it posts, and what it says."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from ...cli import app
from ...exceptions import FaultwatchError
from ..simulator.server import Server, running

TYPE = '{"name": "pump", "sensors": [{"name": "flow"}, {"name": "load"}]}'


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server, and in the current folder a type and a file of one device: one reading a minute, the last one first."""
    monkeypatch.chdir(tmp_path)
    Path("pump.json").write_text(TYPE)
    begin = datetime(2020, 3, 1, tzinfo=UTC)
    lines = [f"{begin + timedelta(minutes=minute):%Y-%m-%dT%H:%M:%SZ},{minute},1.5" for minute in reversed(range(60))]
    Path("north.csv").write_text("\n".join(["time,flow,load", *lines, "2020-03-01T01:00:00Z,much,1.5"]) + "\n")
    with running() as server:
        yield server


def send(server: Server, *arguments: str) -> str:
    """Run the command on the file; what it says."""
    words = ["send", "north.csv", "--type", "pump.json", "--token", "secret", "--url", server.url, *arguments]
    done = CliRunner().invoke(app, words)
    if isinstance(done.exception, FaultwatchError):
        raise done.exception
    assert done.exit_code == 0, (done.output, done.exception)
    return done.output


def frames(server: Server) -> list[pl.DataFrame]:
    """What was posted."""
    return [request.frame for request in server.received]


def test_readings_go_out_in_the_order_of_time_with_device_and_type(server: Server) -> None:
    said = send(server)
    [frame] = frames(server)
    assert frame.columns == ["device_id", "timestamp", "type", "site", "flow", "load"]
    assert frame["flow"].to_list() == list(range(60)) and set(frame["device_id"]) == {"north"}
    assert frame["timestamp"][0] == datetime(2020, 3, 1, tzinfo=UTC)
    assert "60 readings of 1 device accepted; 1 lines can't be read (1 unparsable) and were not sent" in said
    assert "line 62: flow is 'much'; expected a number" in said


def test_as_if_now_the_last_reading_is_of_now_and_the_first_ones_can_be_left_out(server: Server) -> None:
    before = datetime.now(UTC) - timedelta(seconds=1)
    send(server, "--as-if-now", "--skip", "50")
    [frame] = frames(server)
    assert frame["flow"].to_list() == list(range(50, 60))
    assert before <= frame["timestamp"][-1] <= datetime.now(UTC)
    assert frame["timestamp"][-1] - frame["timestamp"][0] == timedelta(minutes=9)


def test_what_would_be_older_than_live_readings_may_be_is_left_out(server: Server) -> None:
    Path("north.csv").write_text(
        "time,flow,load\n2020-03-01T00:00:00Z,1,1\n2020-03-01T12:00:00Z,2,1\n2020-03-03T11:00:00Z,3,1\n"
    )
    send(server, "--as-if-now")
    assert [frame["flow"].to_list() for frame in frames(server)] == [[2.0, 3.0]]


def test_what_is_wrong_is_said_with_what_to_do(server: Server) -> None:
    with pytest.raises(FaultwatchError, match="north.csv holds no reading that could be sent.*check .*--skip"):
        send(server, "--skip", "60")
    with pytest.raises(FaultwatchError, match="--type missing.json can't be read: .*as `faultwatch types infer"):
        send(server, "--type", "missing.json")
    Path("pump.json").write_text("{}")
    with pytest.raises(FaultwatchError, match="pump.json: "):
        send(server)
    assert server.received == []
