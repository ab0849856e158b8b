"""Every threat in the documentation names tests, and they are there."""

import re

import pytest

from .checkout import ROOT

PAGE = (ROOT / "docs/explanation/security.md").read_text(encoding="utf-8")
NAMED = sorted(set(re.findall(r"`(src/tests/[\w/]+\.py)::(\w+)`", PAGE)))
THREATS = [line for line in PAGE.splitlines() if line.startswith("| ") and not line.startswith(("| threat", "| ---"))]


@pytest.mark.parametrize(("file", "test"), NAMED)
def test_a_test_that_is_named_is_there(file: str, test: str) -> None:
    assert re.search(rf"^def {test}\(", (ROOT / file).read_text(encoding="utf-8"), re.M), f"{file} has no {test}"


def test_every_threat_names_a_test() -> None:
    assert len(THREATS) > 20
    assert [line for line in THREATS if "::" not in line] == []
