"""`faultwatch ingest`: what it says, and what it needs to be told."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from typer.testing import CliRunner

from ...cli import app
from ...exceptions import FaultwatchError
from .fleet_of import PUMP
from .test_ingest import table

TYPE = """{"name": "pump", "sensors": [{"name": "flow"}, {"name": "load"}, {"name": "heat"}]}"""


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    """The command sends the log of its process to stderr."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level
    structlog.reset_defaults()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the commands run: a file of readings, a type."""
    monkeypatch.chdir(tmp_path)
    table().rename({"time": "timestamp_ms"}).write_csv("pumps.csv")
    Path("pump.json").write_text(TYPE)
    Path("mapping.json").write_text(
        '{"time": {"column": "timestamp_ms", "format": "milliseconds"}, "device_column": "pump",'
        ' "sensors": {"Flow": "flow", "Load": "load", "Heat": "heat"}}'
    )
    return tmp_path


def run(*arguments: str) -> tuple[str, str]:
    """What a command says on standard output and standard error."""
    done = CliRunner().invoke(app, list(arguments))
    if isinstance(done.exception, FaultwatchError):
        raise done.exception
    assert done.exit_code == 0, (done.output, done.exception)
    return done.stdout, done.stderr


def refusal(*arguments: str) -> str:
    """The line that a command ends with."""
    with pytest.raises(FaultwatchError) as caught:
        run(*arguments)
    return str(caught.value)


def test_a_file_by_a_mapping_and_again(folder: Path) -> None:
    run("types", "add", "pump.json")
    arguments = ("ingest", "pumps.csv", "--mapping", "mapping.json", "--owner", "My lab", "--learn", "150")
    said, beside = run(*arguments)
    assert said.startswith("1,600 readings of 4 devices taken in, 1,000 judged, ")
    assert "owner 'My lab' was added" in beside
    again, _ = run(*arguments)
    assert again == "pumps.csv was taken in before: 1,600 readings; nothing was done\n"


def test_columns_are_found_by_themselves_and_those_of_no_sensor_are_told(folder: Path) -> None:
    run("types", "add", "pump.json")
    table().rename({"time": "timestamp"}).with_columns(Extra=1.5).write_csv("more.csv")
    said, beside = run("ingest", "more.csv", "--owner", "My lab", "--learn", "150")
    assert said.startswith("1,600 readings of 4 devices taken in, 1,000 judged, ")
    assert "column 'Extra' is no sensor of type 'pump': left out" in beside


def test_files_that_end_before_the_type_has_learnt_name_the_option(folder: Path) -> None:
    run("types", "add", "pump.json")
    said, beside = run("ingest", "pumps.csv", "--mapping", "mapping.json", "--owner", "My lab")
    assert said == "1,600 readings of 4 devices taken in, 0 judged, 0 alerts\n"
    assert "It learns from its first 4,320 readings and these files end before that" in beside
    assert "--learn N" in beside


def test_the_first_rows_alone_teach_the_type(folder: Path) -> None:
    run("types", "add", "pump.json")
    arguments = ("ingest", "pumps.csv", "--mapping", "mapping.json", "--owner", "My lab", "--learn", "150")
    said, beside = run(*arguments, "--first", "150")
    assert said == "600 readings of 4 devices taken in, 0 judged, 0 alerts\n"
    assert "type 'pump' has learnt what is normal; readings that come from now on are judged" in beside
    said, _ = run(*arguments)
    assert "taken in before" not in said, "all of the file is another job"


def test_bad_rows_are_counted_and_the_first_ones_told(folder: Path) -> None:
    run("types", "add", "pump.json")
    with Path("pumps.csv").open("a") as file:
        file.write("pump-1,1780272000000,x,1,2\n" * 5)
    said, beside = run("ingest", "pumps.csv", "--mapping", "mapping.json", "--owner", "My lab", "--learn", "150")
    assert said.endswith("; 5 rows could not be taken and are in quarantine (5 unparsable)\n")
    assert beside.count("pumps.csv, line ") == 3


def test_what_has_to_be_said_is_asked_for(folder: Path) -> None:
    assert refusal("ingest", "pumps.csv").startswith("there is no device type yet: `faultwatch types infer FILE`")
    run("types", "add", "pump.json")
    assert "no owner yet" in refusal("ingest", "pumps.csv", "--mapping", "mapping.json")
    assert refusal("ingest", "pumps.csv", "--type", "mill") == "there is no device type 'mill'; there are: pump"
    Path("mill.json").write_text(TYPE.replace("pump", "mill"))
    run("types", "add", "mill.json")
    assert refusal("ingest", "pumps.csv") == "name the device type with --type; there are: mill, pump"


def test_a_mapping_that_cant_be_used_is_named(folder: Path) -> None:
    run("types", "add", "pump.json")
    assert (
        refusal("ingest", "pumps.csv", "--mapping", "gone.json") == "gone.json can't be read: No such file or directory"
    )
    Path("bad.json").write_text("{")
    assert refusal("ingest", "pumps.csv", "--mapping", "bad.json").startswith("bad.json: not JSON")
    Path("other.json").write_text(Path("mapping.json").read_text().replace('"flow"', '"speed"'))
    owner = ("--owner", "My lab")
    assert f"type {PUMP.name!r} does not have: speed" in refusal(
        "ingest", "pumps.csv", "--mapping", "other.json", *owner
    )


def test_a_file_that_is_gone_or_has_no_sensor_of_the_type_is_named(folder: Path) -> None:
    run("types", "add", "pump.json")
    assert "gone.csv can't be read: No such file or directory" in refusal(
        "ingest", "gone.csv", "--mapping", "mapping.json", "--owner", "My lab"
    )
    Path("weather.csv").write_text("time,Rain\n2026-01-01 00:00,1.5\n2026-01-01 00:01,2.5\n")
    told = refusal("ingest", "weather.csv")
    assert told.startswith("no column of weather.csv fits a sensor of type 'pump' (flow, load, heat); it has")
