"""A file becomes chunks in the order of time, and goes on where it was."""

from pathlib import Path

import msgspec
import numpy as np
import pytest

from ...exceptions import StorageError
from ...fleet.backfill_jobs import Job
from ...service import backfill, spool
from ...telemetry.readings import Readings

JOB = Job(
    id=3, file_name="a.csv", file_hash="h", type_id=1, owner_id=1, state="running", rows_total=None,
    rows_done=0, scored=0, alerts=0, message="",
)  # fmt: skip


def _readings(devices: int, rows: int) -> Readings:
    keys = np.repeat(np.arange(1, devices + 1), rows)
    ts = np.tile(np.arange(rows) * 60_000, devices)
    return Readings(1, keys, ts, np.stack([keys + ts / 1e6, -1.0 * keys], axis=1))


def test_the_rows_that_teach_come_first_and_all_rows_come_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backfill, "CHUNK_ROWS", 25)
    manifest = backfill.write_job(tmp_path, 3, _readings(4, 20), learn=10)
    records = list(backfill.chunks(manifest, JOB, 5))
    assert [record.rows for record in records] == [25, 15, 25, 15]
    assert [record.learn for record in records] == [10, 10, 0, 0]
    assert [record.taught for record in records] == [False, True, False, False]
    assert [record.last for record in records] == [False, False, False, True]
    parts = [spool.read(tmp_path / "spool", record) for record in records]
    assert max(part.ts.max() for part in parts[:2]) < min(part.ts.min() for part in parts[2:])
    assert all((np.diff(part.ts) >= 0).all() for part in parts)
    rows = {(int(k), int(t)) for part in parts for k, t in zip(part.keys, part.ts, strict=True)}
    assert len(rows) == 80 == manifest.rows
    assert manifest.device_keys == [1, 2, 3, 4]


def test_a_job_goes_on_behind_what_was_applied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backfill, "CHUNK_ROWS", 30)
    backfill.write_job(tmp_path, 3, _readings(4, 20), learn=0)
    manifest = backfill.read_manifest(tmp_path, 3)
    later = msgspec.structs.replace(JOB, rows_done=30)
    assert [record.chunk for record in backfill.chunks(manifest, later, 5)] == [1, 2]


def test_a_spool_that_is_gone_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="ingest the file again"):
        backfill.read_manifest(tmp_path, 3)
    manifest = backfill.write_job(tmp_path, 3, _readings(1, 5), learn=0)
    (record,) = backfill.chunks(manifest, JOB, 5)
    backfill.forget_job(tmp_path, 3)
    assert list((tmp_path / "spool").iterdir()) == []
    with pytest.raises(StorageError, match="chunk 0"):
        spool.read(tmp_path / "spool", record)


def test_the_same_files_read_another_way_are_another_job(tmp_path: Path) -> None:
    one, two = tmp_path / "a.csv", tmp_path / "b.csv"
    one.write_text("1;2\n")
    two.write_text("1;2\n")
    assert backfill.hash_files([one], "x") == backfill.hash_files([one], "x")
    assert len({backfill.hash_files(paths, how) for paths, how in (([one], "x"), ([one], "y"), ([two], "x"))}) == 3
