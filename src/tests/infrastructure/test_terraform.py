"""A machine without Terraform, or with an old one, is told what to get."""

from pathlib import Path

import pytest

from ..systems import terraform


def test_a_machine_without_it_is_told_where_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    reason = terraform.why_absent()
    assert reason is not None
    assert reason.startswith(
        "no terraform on the PATH; get 1.11 or newer from developer.hashicorp.com/terraform/install"
    )


@pytest.mark.parametrize(
    ("version", "is_enough"), [("1.5.7", False), ("1.10.0", False), ("1.11.0", True), ("2.0.1", True)]
)
def test_an_old_one_is_not_enough(
    version: str, is_enough: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "terraform"
    program.write_text(f"#!/bin/sh\necho Terraform v{version}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert (terraform.why_absent() is None) is is_enough
    assert is_enough or f"is Terraform v{version}; get 1.11 or newer" in str(terraform.why_absent())


def test_credentials_and_settings_of_the_developer_stay_outside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "work")
    monkeypatch.setenv("TF_VAR_region", "us-east-1")
    seen = terraform.environment(tmp_path)
    assert "AWS_PROFILE" not in seen and "TF_VAR_region" not in seen
    assert not Path(seen["AWS_SHARED_CREDENTIALS_FILE"]).exists()
