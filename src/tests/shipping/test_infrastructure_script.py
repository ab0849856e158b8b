"""`scripts/infrastructure`: plan and apply of an environment, by Terraform itself."""

import json
import shutil
from pathlib import Path

import pytest

from ..checkout import ROOT, run

pytestmark = pytest.mark.skipif(shutil.which("terraform") is None, reason="no terraform on the PATH")

MADE_HERE = """
variable "word" { type = string }
resource "terraform_data" "this" { input = var.word }
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with the script, and an environment that needs no account."""
    (tmp_path / "scripts").mkdir()
    shutil.copy(ROOT / "scripts" / "infrastructure", tmp_path / "scripts")
    folder = tmp_path / "infrastructure" / "environments" / "dev"
    folder.mkdir(parents=True)
    (folder / "main.tf").write_text(MADE_HERE)
    return tmp_path


def script(checkout: Path, *arguments: str, word: str = "first") -> tuple[int, str]:
    """Exit code of the script, and what it said."""
    environment = {"TF_VAR_word": word, "CHECKPOINT_DISABLE": "1"}
    done = run([checkout / "scripts" / "infrastructure", *arguments], cwd=checkout, env=environment)
    return done.returncode, done.stdout + done.stderr


def test_a_plan_changes_nothing_and_is_written_down_and_apply_carries_it_out(checkout: Path) -> None:
    folder = checkout / "infrastructure" / "environments" / "dev"
    code, said = script(checkout, "plan", "dev")
    assert code == 0, said
    assert "Plan: 1 to add" in (folder / "plan.txt").read_text()
    assert not (folder / "terraform.tfstate").exists()
    assert script(checkout, "apply", "dev")[0] == 0
    state = json.loads((folder / "terraform.tfstate").read_text())
    assert state["resources"][0]["instances"][0]["attributes"]["input"]["value"] == "first"
    code, said = script(checkout, "plan", "dev")
    assert code == 0 and "No changes." in (folder / "plan.txt").read_text()


def test_what_is_wrong_ends_it_with_words(checkout: Path) -> None:
    assert script(checkout, "destroy", "dev") == (
        2,
        "scripts/infrastructure: destroy is not a verb; expected plan or apply\n",
    )
    code, said = script(checkout, "plan", "staging")
    assert code == 2 and "no environment 'staging'; there are: dev" in said
    (checkout / "infrastructure/environments/dev/main.tf").write_text("resource {")
    assert script(checkout, "plan", "dev")[0] == 1
