"""The fleet from the command line, with the service running or not."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ...cli import app
from ...exceptions import FaultwatchError
from ...fleet import commands, database, users
from ...fleet.access import Access
from ...fleet.principal import Principal
from ...fleet.tokens import Tokens


class Shell:
    """Runs commands on one data folder, in this process."""

    def __init__(self, data: Path) -> None:
        self.data = data

    def __call__(self, *arguments: str, given: str = "") -> str:
        """Standard output of a command; an error is raised as the command line would print it."""
        done = CliRunner().invoke(app, [*arguments, "--data", str(self.data)], input=given)
        if isinstance(done.exception, FaultwatchError):
            raise done.exception
        assert done.exit_code == 0, (done.output, done.exception)
        return done.stdout

    def error(self, *arguments: str, given: str = "") -> str:
        """The line that a command ends with."""
        with pytest.raises(FaultwatchError) as caught:
            self(*arguments, given=given)
        return str(caught.value)


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path / "data")


def test_a_script_gets_a_token_and_nothing_else(tmp_path: Path) -> None:
    root = __package__.partition(".")[0]
    command = [sys.executable, "-m", root, "tokens", "create", "--data", str(tmp_path / "data"), "--owner", "Nordwind"]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=Path(__file__).parents[3], env=dict(os.environ), timeout=60
    )
    assert re.fullmatch(r"fw_[\w-]{43}\n", done.stdout), done
    assert done.stderr == "owner 'Nordwind' was added\n"


def test_tokens_from_making_to_revoking(shell: Shell) -> None:
    writes = shell("tokens", "create", "--owner", "Nordwind", "--name", "gateway", "--no-register").strip()
    reads = shell("tokens", "create", "--owner", "Nordwind", "--scope", "read").strip()
    some = shell("tokens", "create", "--owner", "Sued", "--device", "a", "--device", "b").strip()
    engine = database.connect(f"sqlite:///{shell.data / 'faultwatch.db'}")
    known = Tokens(engine)
    info, narrow = known.authenticate(writes), known.authenticate(some)
    assert info is not None and not info.may_register and info.device_ids is None
    assert narrow is not None and narrow.device_ids == frozenset("ab")
    assert known.authenticate(reads, "read") is not None
    listed = shell("tokens", "list", "--owner", "Nordwind")
    assert "gateway" in listed and "Sued" not in listed and writes not in listed
    shell("tokens", "revoke", str(info.token_id))
    assert Tokens(engine).authenticate(writes) is None
    assert "revoked" in shell("tokens", "list")
    assert "`faultwatch tokens list` shows them" in shell.error("tokens", "revoke", "99")
    engine.dispose()


def test_owners(shell: Shell) -> None:
    shell("owners", "add", "Nordwind")
    shell("owners", "add", "Nordwind")
    assert shell("owners", "list").splitlines()[1].startswith("Nordwind\t0\t")


def test_users(shell: Shell) -> None:
    shell("owners", "add", "Nordwind")
    secret = "correct horse"
    shell("users", "add", "Ada@example.org", "--role", "owner", "--password-stdin", given=f"{secret}\n")
    shell("users", "add", "root@example.org", "--role", "admin", "--name", "Root", given=f"{secret}\n{secret}\n")
    assert [line.split("\t")[:5] for line in shell("users", "list").splitlines()[1:]] == [
        ["ada@example.org", "ada", "owner", "Nordwind", ""],
        ["root@example.org", "Root", "admin", "", ""],
    ]
    shell("users", "password", "ada@example.org", "--password-stdin", given="another password\n")
    shell("users", "add", "second@example.org", "--role", "admin", "--password-stdin", given=f"{secret}\n")
    shell("users", "disable", "root@example.org")
    assert "disabled" in shell("users", "list")
    shell("users", "enable", "root@example.org")
    engine = database.connect(f"sqlite:///{shell.data / 'faultwatch.db'}")
    assert users.sign_in(engine, "ada@example.org", "another password", 0).user.role == "owner"
    engine.dispose()
    assert "has 0 characters" in shell.error("users", "add", "b@example.org", "--password-stdin", given="\n")
    shell("owners", "add", "Sued")
    assert "name the owner with --owner; there are: 'Nordwind', 'Sued'" in shell.error(
        "users", "add", "b@example.org", "--password-stdin", given=f"{secret}\n"
    )


def test_types(shell: Shell, tmp_path: Path) -> None:
    file = tmp_path / "pump.json"
    file.write_text(json.dumps({"name": "pump", "sensors": [{"name": "pressure"}]}))
    assert shell("types", "add", str(file)) == "pump version 1 (type 1)\n"
    shown = json.loads(shell("types", "show", "pump"))
    file.write_text(json.dumps({**shown, "sensors": [*shown["sensors"], {"name": "flow"}]}))
    assert shell("types", "add", str(file)) == "pump version 2 (type 1)\n"
    assert shell("types", "add", str(file)) == "pump version 2 (type 1)\n"
    assert shell("types", "list").splitlines()[1] == "1\tpump\t2\tshared\t60 s\tpressure, flow"
    assert len(json.loads(shell("types", "show", "pump", "--version", "1"))["sensors"]) == 1
    engine = database.connect(f"sqlite:///{shell.data / 'faultwatch.db'}")
    with database.reading(engine) as session:  # a loop that runs is told
        assert [word.kind for word in commands.pending(session)] == ["type_version"] * 2
    engine.dispose()


def test_types_that_can_not_be_added(shell: Shell, tmp_path: Path) -> None:
    file = tmp_path / "pump.json"
    assert f"{file} can't be read" in shell.error("types", "add", str(file))
    file.write_text('{"name": "pump"}')
    assert "missing required field `sensors`" in shell.error("types", "add", str(file))
    file.write_text('{"name": "pump", "sensors": [{"name": "pressure"}]}')
    assert "no owner is called 'Sued'" in shell.error("types", "add", str(file), "--owner", "Sued")
    assert shell.error("types", "show", "pump") == "there is no device type 'pump'; there are: none yet"
    shell("types", "add", str(file))
    assert "has 1 versions; version 2 was asked for" in shell.error("types", "show", "pump", "--version", "2")


def test_migrating_says_where_it_is(shell: Shell) -> None:
    assert shell("migrate") == f"sqlite:///{shell.data / 'faultwatch.db'} is at revision 0006\n"


def test_rules_from_adding_to_removing(shell: Shell, tmp_path: Path) -> None:
    shell("owners", "add", "Nordwind")
    pump = {"name": "pump", "sensors": [{"name": "pressure", "unit": "bar", "precision": 0.1}]}
    (tmp_path / "pump.json").write_text(json.dumps(pump))
    shell("types", "add", str(tmp_path / "pump.json"))
    number = shell("rules", "add", "pump", "pressure", "above", "12", "--for", "10", "--back", "11").strip()
    listed = shell("rules", "list").splitlines()
    words = "Pressure above 12 bar for 10 minutes, until 11 bar"
    assert listed[1].split("\t") == [number, "Nordwind", "pump", "all", words, "warning"]
    assert "there is no device 'x'" in shell.error("rules", "add", "pump", "pressure", "below", "1", "--device", "x")
    shell("rules", "remove", number)
    assert len(shell("rules", "list").splitlines()) == 1
    assert "there is no rule" in shell.error("rules", "remove", number)


def test_an_account_gets_another_role(shell: Shell) -> None:
    shell("owners", "add", "Nordwind")
    shell("users", "add", "kim@example.org", "--role", "operator", "--password-stdin", given="a long password\n")
    shell("users", "role", "kim@example.org", "viewer")
    assert shell("users", "list").splitlines()[1].split("\t")[2:4] == ["viewer", "Nordwind"]
    assert "there is no account" in shell.error("users", "role", "nobody@example.org", "viewer")


def test_owners_from_adding_to_removing(shell: Shell) -> None:
    shell("owners", "add", "Nordwind")
    shell("owners", "add", "Sued")
    shell("owners", "rename", "Sued", "Suedwerk")
    assert [line.split("\t")[0] for line in shell("owners", "list").splitlines()[1:]] == ["Nordwind", "Suedwerk"]
    assert "is an owner called 'Nordwind'" in shell.error("owners", "rename", "Suedwerk", "Nordwind")
    token = shell("tokens", "create", "--owner", "Suedwerk")
    assert "this owner has 1 tokens" in shell.error("owners", "remove", "Suedwerk"), token
    shell("owners", "remove", "Nordwind")
    assert len(shell("owners", "list").splitlines()) == 2


def test_what_the_command_line_does_is_in_the_audit_log(shell: Shell) -> None:
    shell("tokens", "create", "--owner", "Nordwind", "--name", "gateway")
    shell("tokens", "revoke", "1")
    engine = database.connect(f"sqlite:///{shell.data / 'faultwatch.db'}")
    with database.reading(engine) as session:
        found = Access(session, Principal(None, "admin", None)).audit().items
    engine.dispose()
    assert [(entry.who, entry.what) for entry in found] == [
        ("command line", "token revoked"),
        ("command line", "token made"),
        ("command line", "owner added"),
    ]
