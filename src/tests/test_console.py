"""How commands run: lazily, with one line for an error, and by exit codes."""

import signal
import subprocess
import sys
import time
from typing import Annotated

import pytest
import typer

from ..console import run
from ..exceptions import IngestError
from .checkout import ROOT
from .checkout import run as run_process

FAILS = "from src.console import run; from src.exceptions import StorageError"


def exit_code(app: typer.Typer, *arguments: str) -> int:
    """Run an app in this process and return what it exits with."""
    with pytest.raises(SystemExit) as ended:
        run(app, list(arguments))
    code = ended.value.code
    assert isinstance(code, int)
    return code


def app_of_two() -> typer.Typer:
    """One command that works and one that refuses."""
    app = typer.Typer()

    @app.command()
    def count(rows: Annotated[int, typer.Option()] = 3) -> None:
        print(rows)

    @app.command()
    def refuse() -> None:
        raise IngestError("pump.csv has no column\n  'timestamp'")

    return app


def test_what_works_ends_with_0(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code(app_of_two(), "count", "--rows", "5") == 0
    assert capsys.readouterr().out == "5\n"


def test_an_expected_error_is_one_line_and_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code(app_of_two(), "refuse") == 2
    assert capsys.readouterr() == ("", "error: pump.csv has no column 'timestamp'\n")


def test_a_wrong_argument_is_2_and_says_which(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code(app_of_two(), "count", "--rows", "many") == 2
    assert "--rows" in capsys.readouterr().err


def test_a_bug_shows_its_traceback() -> None:
    done = run_process([sys.executable, "-c", f"{FAILS}; run(lambda: 1 / 0)"])
    assert done.returncode == 1
    assert "Traceback" in done.stderr and "ZeroDivisionError" in done.stderr


def test_a_function_alone_is_a_command() -> None:
    code = (
        f"{FAILS}\ndef command(rows: int = 2) -> None: raise StorageError(f'no room for {{rows}} rows')\nrun(command)"
    )
    done = run_process([sys.executable, "-c", code, "--rows", "9"])
    assert (done.returncode, done.stdout, done.stderr) == (2, "", "error: no room for 9 rows\n")


def test_ctrl_c_ends_quietly_with_130() -> None:
    code = f"{FAILS}\nimport time\ndef command() -> None:\n print('up', flush=True)\n time.sleep(60)\nrun(command)"
    process = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None and process.stdout.readline() == "up\n"
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err) == (130, "", "")


def test_a_group_with_one_command_keeps_its_name() -> None:
    code = """
import typer
from src import console
tokens = typer.Typer()
@tokens.command()
def create() -> None: print('made')
console.made_for_the_test = tokens
class Commands(console.LazyGroup):
    registry = {'tokens': console.Lazy('console:made_for_the_test', 'Tokens.')}
app = typer.Typer(cls=Commands)
app.callback()(lambda: None)
console.run(app)
"""
    done = run_process([sys.executable, "-c", code, "tokens", "create"])
    assert (done.returncode, done.stdout) == (0, "made\n"), done.stderr
