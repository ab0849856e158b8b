"""The examples for systemd and Caddy are ones that those programs take, and name what there is."""

import re
import shlex
import sys
from pathlib import Path

import typer

from ...cli import app
from ...settings import Settings
from ..checkout import ROOT, run

DEPLOY = ROOT / "docs" / "deploy"
UNIT = DEPLOY / "faultwatch.service"


def test_systemd_takes_the_unit(systemd_analyze: Path, tmp_path: Path) -> None:
    text = UNIT.read_text(encoding="utf-8")
    (program,) = re.findall(r"^ExecStart=(\S+)", text, re.M)
    unit = tmp_path / "faultwatch.service"
    unit.write_text(text.replace(program, sys.executable).replace("User=faultwatch", "User=root"), encoding="utf-8")
    done = run([systemd_analyze, "verify", "--man=no", unit])
    complaints = [line for line in (done.stdout + done.stderr).splitlines() if "faultwatch.service" in line]
    assert complaints == []


def test_the_unit_starts_a_command_that_exists_with_settings_that_exist() -> None:
    text = UNIT.read_text(encoding="utf-8")
    (command,) = re.findall(r"^ExecStart=(.*)$", text, re.M)
    words = shlex.split(command)[1:]
    group = typer.main.get_command(app)
    context = typer.Context(group, info_name="faultwatch")
    name, found, rest = group.resolve_command(context, words)  # type: ignore[attr-defined]
    assert (name, rest) == ("serve", []) and found is not None
    variables = re.findall(r"^Environment=FAULTWATCH_([A-Z_]+)=", text, re.M)
    assert variables and {variable.lower() for variable in variables} <= set(Settings.model_fields)


def test_caddy_takes_its_example(caddy: Path, tmp_path: Path) -> None:
    done = run(
        [caddy, "validate", "--adapter", "caddyfile", "--config", DEPLOY / "Caddyfile"],
        env={"XDG_DATA_HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path), "HOME": str(tmp_path)},
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_examples_pass_on_to_the_default_port() -> None:
    port = Settings.model_fields["port"].default
    for name in ("nginx.conf", "Caddyfile", "prometheus.yml"):
        assert f"127.0.0.1:{port}" in (DEPLOY / name).read_text(encoding="utf-8"), name
