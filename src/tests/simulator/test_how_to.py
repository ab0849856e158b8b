"""The how-to page says what is so: its commands and its Python run, its table is the list of kinds."""

import re
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from ...simulator.cli import simulate
from ...simulator.faults import FAULT_KINDS
from ..checkout import ROOT
from .server import running

PAGE = (ROOT / "docs" / "how-to" / "simulate.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^faultwatch simulate (.*)$", PAGE, re.M)


def run(arguments: str) -> str:
    """Run one command of the page and return what it prints."""
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(simulate)
    result = CliRunner().invoke(app, arguments.split(), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_the_files_are_those_of_the_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (command,) = [command for command in COMMANDS if "--out" in command]
    run(command)
    cells = re.findall(r"`([\w/<>.]+)`", "".join(re.findall(r"^\| (`.*?) \|", PAGE.split("## To a")[0], re.M)))
    named = {cell.replace("<type>", type_name) for cell in cells for type_name in ("pump_station", "solar_inverter")}
    found = {str(path.relative_to(tmp_path / "fleet")) for path in (tmp_path / "fleet").rglob("*.*")}
    assert len(named) >= 8 and named <= found


def test_the_commands_to_a_server_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (preparing,) = [command for command in COMMANDS if "--types-to" in command]
    written = run(preparing).split()
    assert [f"faultwatch types add {path}" in PAGE for path in written] == [True] * 3
    Path("token.txt").write_text("secret")
    commands = [command for command in COMMANDS if "--url" in command]
    assert len(commands) == 2
    for command in commands:
        with running() as server:
            endless = "" if "--duration" in command else " --duration 1s"
            assert "readings accepted" in run(command.replace("http://127.0.0.1:8765", server.url) + endless)
            assert len(server.received) in (3, 90)


def test_the_python_runs() -> None:
    (code,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.M | re.S)
    root = __package__.partition(".")[0]
    names: dict[str, object] = {}
    exec(code.replace("from faultwatch.", f"from {root}."), names)
    assert getattr(names["values"], "shape", None) == (360, 67, 8)


def test_the_table_of_kinds_is_the_list_of_kinds() -> None:
    table = dict(re.findall(r"^\| `(\w+)` \| ([^|]*) \|$", PAGE, re.M))
    assert {name: meaning for name, meaning in table.items() if name in FAULT_KINDS or "/" not in name} == {
        name: kind.meaning for name, kind in FAULT_KINDS.items()
    }
