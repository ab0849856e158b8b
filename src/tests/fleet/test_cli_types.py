"""A type proposed from a file of readings, from the command line."""

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from ...cli import app
from ...exceptions import FaultwatchError
from ...telemetry.files import read_chunks
from ...telemetry.mapping import decode_mapping
from ...telemetry.schema import decode_type


def infer(*arguments: str | Path) -> Result:
    """A run of `faultwatch types infer`; an error is raised as the command line would print it."""
    done = CliRunner().invoke(app, ["types", "infer", *map(str, arguments)])
    if isinstance(done.exception, FaultwatchError):
        raise done.exception
    assert done.exit_code == 0, (done.output, done.exception)
    return done


def error(*arguments: str | Path) -> str:
    with pytest.raises(FaultwatchError) as caught:
        infer(*arguments)
    return str(caught.value)


@pytest.fixture
def readings(tmp_path: Path) -> Path:
    path = tmp_path / "Pump 7.csv"
    rows = "".join(f"2026-01-01 00:{i:02}:00;{i},5;{i % 2}\n" for i in range(60))
    path.write_text(f"Zeit;Pressure (bar);anomaly\n{rows}")
    return path


def test_the_type_is_printed_and_what_to_check_goes_to_stderr(readings: Path) -> None:
    done = infer(readings)
    assert decode_type(done.stdout).name == "pump_7"
    assert done.stderr.splitlines() == [
        "note: times in 'Zeit' name no zone: read as UTC; set zone of the mapping where they are local",
        "note: column 'anomaly' is left out: it looks like a label, not like a sensor",
        "note: no column names a device: each file is one device, called as the file",
    ]


def test_type_and_mapping_are_written_and_read_the_file(readings: Path, tmp_path: Path) -> None:
    out, mapping = tmp_path / "type.json", tmp_path / "mapping.json"
    assert infer(readings, "--name", "pump", "--out", out, "--mapping", mapping).stdout == ""
    device_type, how = decode_type(out.read_bytes()), decode_mapping(mapping.read_bytes())
    assert (device_type.name, device_type.sensor_names) == ("pump", ("pressure",))
    (chunk,) = read_chunks(readings, how, device_type, 1000)
    assert (len(chunk), chunk.bad, chunk.values[59, 0]) == (60, [], 59.5)


def test_the_printed_type_can_be_added(readings: Path, tmp_path: Path) -> None:
    out = tmp_path / "type.json"
    out.write_text(infer(readings, "--name", "pump").stdout)
    done = CliRunner().invoke(app, ["types", "add", str(out), "--data", str(tmp_path / "data")])
    assert done.stdout == "pump version 1 (type 1)\n"


def test_a_file_with_other_content_is_replaced_by_force_only(readings: Path, tmp_path: Path) -> None:
    out, mapping = tmp_path / "type.json", tmp_path / "mapping.json"
    infer(readings, "--out", out)
    infer(readings, "--out", out)
    mapping.write_text("{}")
    said = f"{mapping} is there already and holds something else; name another file or give --force"
    assert error(readings, "--name", "pump", "--mapping", mapping) == said
    assert "type.json is there already" in error(readings, "--name", "pump", "--out", out)
    new = tmp_path / "new.json"
    assert error(readings, "--out", new, "--mapping", mapping) == said
    assert not new.exists()
    infer(readings, "--name", "pump", "--out", out, "--mapping", mapping, "--force")
    assert decode_type(out.read_bytes()).name == "pump"
    assert decode_mapping(mapping.read_bytes()).separator == ";"


def test_what_can_not_be_done_is_said(readings: Path, tmp_path: Path) -> None:
    nowhere = tmp_path / "nowhere"
    assert error(nowhere) == f"{nowhere} can't be read: No such file or directory"
    assert error(tmp_path) == f"{tmp_path} can't be read: Is a directory"
    out = nowhere / "type.json"
    assert error(readings, "--out", out) == f"{out} can't be written: No such file or directory"
    assert error(readings, "--out", tmp_path) == f"{tmp_path} can't be written: Is a directory"
    both = tmp_path / "both.json"
    said = f"--out and --mapping both name {both}; give each a file of its own"
    assert error(readings, "--out", both, "--mapping", both) == said


def test_recordings_of_a_testbed(shared_data: Path) -> None:
    done = infer(shared_data / "skab" / "valve1-00.csv", "--name", "testbed")
    assert len(decode_type(done.stdout).sensors) == 8
