"""The benchmark measures what it says; its figure holds in `make verify`."""

from pathlib import Path

import msgspec
import pytest
import typer
from typer.testing import CliRunner

from ...simulator.benchmark import benchmark, measure


def test_figures_are_written_as_json(tmp_path: Path) -> None:
    app = typer.Typer()
    app.command()(benchmark)
    result = CliRunner().invoke(app, ["--json", str(tmp_path / "f.json"), "--devices", "6"])
    assert result.exit_code == 0
    figures = msgspec.json.decode((tmp_path / "f.json").read_bytes())
    assert figures == msgspec.json.decode(result.output)
    assert set(figures["rows_per_s"]) == {"pump_station", "refrigerated_display", "solar_inverter"}
    assert figures["rows_per_s_all_types"] > 10_000


@pytest.mark.verify
def test_two_million_device_rows_a_second_on_one_core() -> None:
    rate = measure(devices=300)["rows_per_s_all_types"]
    assert isinstance(rate, int) and rate >= 2_000_000
