"""The figures of storage can be taken anywhere."""

import json
from pathlib import Path

from typer.testing import CliRunner

from ...telemetry.benchmark import DEVICES, benchmark


def test_the_benchmark_prints_its_figures(tmp_path: Path) -> None:
    import typer

    app = typer.Typer()
    app.command()(benchmark)
    result = CliRunner().invoke(app, ["--days", "1", "--json", str(tmp_path / "figures.json")])
    assert result.exit_code == 0, result.output
    figures = json.loads((tmp_path / "figures.json").read_text(encoding="utf-8"))
    assert figures == json.loads(result.output)
    assert figures["lake_rows"] == 1440 * DEVICES
    assert 0 < figures["one_device_one_sensor_ms"]
