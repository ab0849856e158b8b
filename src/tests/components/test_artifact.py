"""Artifacts: all or nothing, the same files the same folder, and damage is noticed."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from ...components import artifact
from ...components.artifact import Artifact, Detail
from ...exceptions import ModelError, StorageError


def make(parent: Path, text: str = "hello", now_ms: int = 1) -> Artifact:
    def write(folder: Path) -> Mapping[str, Detail]:
        (folder / "words.txt").write_text(text)
        return {"letters": len(text)}

    return artifact.make(
        parent, component="speech", subject="pump", inputs={}, config={"loud": True}, now_ms=now_ms, write=write
    )


def test_what_was_made_can_be_read(tmp_path: Path) -> None:
    made = make(tmp_path)
    assert artifact.read(made.path) == made
    assert made.summary == {"letters": 5} and made.made_ms == 1
    assert made.path.parent == tmp_path and (made.path / "words.txt").read_text() == "hello"


def test_the_same_files_are_the_same_artifact(tmp_path: Path) -> None:
    first, again, other = make(tmp_path), make(tmp_path, now_ms=2), make(tmp_path, "good-bye", now_ms=3)
    assert first.hash == again.hash != other.hash
    assert first.path == again.path != other.path
    assert artifact.newest(tmp_path).hash == other.hash
    assert len(list(tmp_path.iterdir())) == 2


def test_one_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def write(folder: Path) -> Mapping[str, Detail]:
        (folder / "half").write_text("x")
        raise ValueError("no")

    with pytest.raises(ValueError):
        artifact.make(tmp_path, component="c", subject="s", inputs={}, config={}, now_ms=1, write=write)
    assert not list(tmp_path.iterdir())


def test_damage_is_noticed(tmp_path: Path) -> None:
    made = make(tmp_path)
    (made.path / "words.txt").write_text("hallo")
    with pytest.raises(ModelError, match="not those that speech wrote"):
        artifact.read(made.path)
    (made.path / artifact.FILE).write_text("{")
    with pytest.raises(ModelError, match="damaged"):
        artifact.read(made.path)
    with pytest.raises(ModelError, match="run the component before"):
        artifact.read(tmp_path)
    with pytest.raises(ModelError, match="run the component before"):
        artifact.newest(tmp_path / "nowhere")


def test_what_was_damaged_is_made_whole_again(tmp_path: Path) -> None:
    made = make(tmp_path)
    (made.path / "words.txt").write_text("hal")
    again = make(tmp_path, now_ms=2)
    assert again.path == made.path and artifact.read(again.path) == again
    assert (again.path / "words.txt").read_text() == "hello"


def test_one_that_is_damaged_doesnt_hide_newer_ones(tmp_path: Path) -> None:
    old, lost, newer = make(tmp_path, "old"), make(tmp_path, "lost"), make(tmp_path, "newer", now_ms=2)
    (old.path / "words.txt").write_text("odl")
    (lost.path / artifact.FILE).write_text("{")
    assert artifact.newest(tmp_path) == newer
    (newer.path / "words.txt").write_text("never")
    with pytest.raises(ModelError, match="not those that speech wrote; run it again"):
        artifact.newest(tmp_path)


def test_a_folder_that_cant_be_made_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StorageError, match="an artifact of speech can't be written below .*: Not a directory"):
        make(tmp_path / "file" / "below")
