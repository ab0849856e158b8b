"""`faultwatch simulate`: what it writes and sends, and what it says when asked for what can't be."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from ...exceptions import ConfigError, FaultwatchError
from ...simulator.cli import parse_duration, parse_time, read_token, simulate
from ...telemetry.schema import decode_type
from .server import REJECTING, running

app = typer.Typer(pretty_exceptions_enable=False)
app.command()(simulate)


def said(*arguments: str | Path) -> str:
    """What the command prints; an error of faultwatch is raised."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def test_files_and_the_way_to_make_them_again(tmp_path: Path) -> None:
    options = ["--devices", "6", "--days", "0.5", "--seed", "9", "--faults", "0.5", "--format", "csv"]
    text = said("--out", tmp_path / "one", *options)
    assert "6 devices, 4 faults" in text
    again = text.split("the same again: ")[1].split()
    said("--out", tmp_path / "two", *options, *again)
    for path in (tmp_path / "one").rglob("*.csv"):
        assert path.read_bytes() == (tmp_path / "two" / path.relative_to(tmp_path / "one")).read_bytes()
    last = pl.read_csv(tmp_path / "one/readings/pump_station.csv", try_parse_dates=True)["timestamp"].max()
    assert isinstance(last, datetime)
    assert abs(datetime.now(UTC) - last) < timedelta(minutes=5)


def test_readings_reach_a_server_fast(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("secret\n")
    with running() as server:
        text = said(
            *("--url", server.url, "--token-file", tmp_path / "token", "--devices", "6", "--type", "pump_station"),
            *("--speed", "5000", "--duration", "30m", "--body", "json"),
        )
    assert len(server.received) == 30
    assert {request.headers["Authorization"] for request in server.received} == {"Bearer secret"}
    assert "readings accepted" in text and "6 devices" in text


def test_device_types_are_written_for_a_server_to_take(tmp_path: Path) -> None:
    text = said("--types-to", tmp_path / "types", "--type", "pump_station", "--type", "solar_inverter")
    paths = [Path(line) for line in text.split()]
    assert [path.name for path in paths] == ["pump_station.json", "solar_inverter.json"]
    assert [decode_type(path.read_bytes()).name for path in paths] == ["pump_station", "solar_inverter"]


def test_rejected_rows_are_told_with_their_reason_once() -> None:
    with running() as server:
        server.replies += [REJECTING, REJECTING]
        text = said(
            *("--url", server.url, "--token", "secret", "--devices", "6", "--type", "pump_station"),
            *("--speed", "5000", "--duration", "3m"),
        )
    assert text.count("rejected, and others like it: pump-001: too far ahead") == 1
    assert "8 readings accepted, 4 there already, 14 rejected" in text


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((), "expected one of them, got none"),
        (("--out", "x", "--url", "http://127.0.0.1:1"), "expected one of them, got --out and --url"),
        (("--url", "http://127.0.0.1:1"), "needs a token by --token or --token-file, got neither"),
        (("--url", "http://127.0.0.1:1", "--token", " "), "the token is empty"),
        (("--url", "http://127.0.0.1:1", "--token", "a", "--token-file", "b"), "got both"),
        (("--url", "nowhere", "--token", "a"), "'nowhere' is no address of a server"),
        (("--url", "http://127.0.0.1:1", "--token-file", "absent"), "--token-file absent can't be read"),
        (("--url", "http://127.0.0.1:1", "--token", "a", "--speed", "0"), "--speed 0: expected a number above 0"),
        (("--url", "http://127.0.0.1:1", "--token", "a", "--duration", "1w"), "such as 30m or 2h"),
        (("--out", "x", "--speed", "60"), "go with --url; for files use --days"),
        (("--out", "x", "--days", "-1"), "--days -1: expected a number above 0"),
        (("--out", "x", "--start", "2026-11-24"), "has no time zone; add Z for UTC: 2026-11-24Z"),
        (("--out", "x", "--start", "noon"), "'noon' is no time; expected one such as 2026-11-24T00:00:00Z"),
        (("--out", "x", "--type", "toaster"), "device type 'toaster' can't be simulated; expected one of pump_station"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(arguments: tuple[str, ...], expected: str) -> None:
    with pytest.raises(FaultwatchError) as raised:
        said(*arguments)
    assert expected in str(raised.value) and "\n" not in str(raised.value)


@given(st.text(max_size=20))
def test_any_duration_is_read_or_refused(text: str) -> None:
    try:
        assert parse_duration(text) > timedelta(0)
    except ConfigError as error:
        assert "--duration" in str(error)


@given(st.text(max_size=30))
def test_any_time_is_read_or_refused(text: str) -> None:
    try:
        assert parse_time(text).tzinfo is UTC
    except ConfigError as error:
        assert "--start" in str(error)


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("30m", 1800), ("2h", 7200), ("1.5d", 129_600)])
def test_durations(text: str, seconds: int) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


def test_a_token_file_is_read_without_its_line_end(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(" secret \n")
    assert read_token(None, tmp_path / "token") == "secret"
