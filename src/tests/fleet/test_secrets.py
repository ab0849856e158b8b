"""The key file, and what is encrypted with it."""

import os
from pathlib import Path

import pytest

from ...exceptions import StorageError
from ...fleet.secrets import open_secrets


def test_the_key_is_made_once_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "data" / "secret.key"
    hidden = open_secrets(path).encrypt("slack://token")
    assert path.stat().st_mode & 0o777 == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == ["secret.key"]
    assert "token" not in hidden
    assert open_secrets(path).decrypt(hidden) == "slack://token"


def test_another_key_says_what_to_do(tmp_path: Path) -> None:
    hidden = open_secrets(tmp_path / "one.key").encrypt("x")
    with pytest.raises(StorageError, match="encrypted with another key; put back the key file"):
        open_secrets(tmp_path / "two.key").decrypt(hidden)


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "secret.key"
    open_secrets(path)
    os.chmod(path, 0o644)
    with pytest.raises(StorageError, match="chmod 600"):
        open_secrets(path)


def test_a_file_that_is_no_key_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "secret.key"
    path.write_text("hello")
    path.chmod(0o600)
    with pytest.raises(StorageError, match="isn't a key"):
        open_secrets(path)


def test_a_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    with pytest.raises(StorageError, match="can't be used"):
        open_secrets(tmp_path / "data" / "secret.key")


def test_each_purpose_has_a_key_of_its_own(tmp_path: Path) -> None:
    secrets = open_secrets(tmp_path / "secret.key")
    assert secrets.derive("cookies") == secrets.derive("cookies") != secrets.derive("links")
    assert len(secrets.derive("cookies")) == 32
