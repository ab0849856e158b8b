"""A small checkout for the production checklist to look at: format, tests and infrastructure that pass."""

from pathlib import Path

TERRAFORM = """
terraform {
  backend "local" {}
}
variable "word" { default = "first" }
resource "terraform_data" "this" { input = var.word }
"""


def make(folder: Path) -> Path:
    """The checkout, made in `folder`."""
    files = {
        "pyproject.toml": '[project]\nname = "faultwatch"\n',
        "requirements.txt": "pytest==0.0.1 \\\n    --hash=sha256:aa\n",
        "Makefile": "infra-test:\n\t@test ! -e broken && echo '=== 3 passed ==='\n",
        "src/module.py": "WORD = 1\n",
        "src/tests/detection/test_module.py": "def test_one() -> None:\n    assert True\n",
        "infrastructure/environments/dev/main.tf": TERRAFORM,
    }
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    return folder
