"""Every module says what it is for, what it takes and gives, and what it costs."""

import pytest

from ..checkout import ROOT, run_python
from .conftest import INFRASTRUCTURE

MODULES = sorted(str(path.parent.relative_to(INFRASTRUCTURE)) for path in INFRASTRUCTURE.rglob("outputs.tf"))


def test_tables_are_what_the_files_say() -> None:
    assert run_python("-m", "scripts.infrastructure_tables", "--check") == ""


@pytest.mark.parametrize("module", MODULES)
def test_a_readme_has_purpose_cost_and_tables(module: str) -> None:
    text = (INFRASTRUCTURE / module / "README.md").read_text(encoding="utf-8")
    purpose, _, rest = text.partition("## Cost in a month")
    assert len(purpose) > 120
    cost, _, tables = rest.partition("## Inputs and outputs")
    assert cost.strip()
    assert "| input |" in tables and "| output |" in tables


def test_the_overview_names_every_module() -> None:
    overview = (INFRASTRUCTURE / "README.md").read_text(encoding="utf-8")
    assert [module for module in MODULES if f"({module}/README.md)" not in overview] == []


def test_the_modules_that_the_mission_names_are_there() -> None:
    named = {"sensor_ec2", "sensor_ecr", "sensor_eks", "sensor_model_bucket", "sensor_prediction_bucket"}
    assert named <= set(MODULES)
    assert (ROOT / "infrastructure" / "environments" / "prod" / "main.tf").exists()
