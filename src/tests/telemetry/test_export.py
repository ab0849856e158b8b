"""What is exported is what is stored: every row once, with those the lake doesn't hold yet; the file appears whole."""

import math
import os
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ...exceptions import StorageError
from ...telemetry.expected import with_expected
from ...telemetry.export import Format, Selection, write_export
from ...telemetry.lake import Lake
from ...telemetry.published import PublishedReader, Publisher
from ...telemetry.schema import DeviceType, Sensor
from .frames import START_MS, scored

PUMP = DeviceType(name="pump", sensors=(Sensor(name="flow"), Sensor(name="heat")))
COLUMNS = ["device_id", "timestamp", "score", "flow", "heat", "low_flow", "high_flow", "low_heat", "high_heat"]
FORMATS: list[Format] = ["csv", "parquet"]


def rows(keys: list[int], minutes: list[int], seq: int) -> pl.DataFrame:
    return scored(
        keys,
        minutes,
        seq,
        flow=[key + minute / 7 for key, minute in zip(keys, minutes, strict=True)],
        heat=[math.nan if minute % 3 == 0 else -float(minute) for minute in minutes],
        score=[None if minute % 5 == 4 else 0.25 * minute for minute in minutes],
        bands=[[1.0, 2.0, 0.5, 0.25] if minute % 10 == 0 else None for minute in minutes],
    )


class Store:
    """A lake and what a shard published, in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lake = Lake(str(folder / "lake"))
        self.publisher = Publisher(folder / "published")
        self.published = PublishedReader(folder / "published")
        self.seq = 0

    def keep(self, keys: list[int], minutes: list[int]) -> None:
        """Rows that are in the lake."""
        self.seq += 1
        self.lake.append(3, rows(keys, minutes, self.seq), app_id="shard-0", version=self.seq)

    def publish(self, keys: list[int], minutes: list[int]) -> None:
        """Rows that are not in the lake yet."""
        self.seq += 1
        self.publisher.publish_tail(3, rows(keys, minutes, self.seq), self.seq, self.seq)

    def export(self, form: Format, selection: Selection, chunk_rows: int = 1000) -> pl.DataFrame:
        """What was written, read back."""
        path = self.folder / f"out.{form}"
        written = write_export(path, form, self.lake, self.published, selection, chunk_rows=chunk_rows)
        frame = (
            pl.read_parquet(path)
            if form == "parquet"
            else pl.read_csv(path, schema_overrides=selection.schema(), try_parse_dates=True)
        )
        assert frame.height == written
        return frame


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


def everything(*names: str, start: int | None = None, end: int | None = None) -> Selection:
    """Devices 1, 2, … by these names; times in minutes."""
    start_ms, end_ms = (None if minute is None else START_MS + minute * 60_000 for minute in (start, end))
    return Selection(3, PUMP, dict(enumerate(names, 1)), start_ms, end_ms)


@pytest.mark.parametrize("form", FORMATS)
def test_what_is_stored_comes_back(store: Store, form: Format) -> None:
    store.keep([1, 2] * 60, [minute for minute in range(60) for _ in range(2)])
    frame = store.export(form, everything("a", "b"))
    assert frame.columns == COLUMNS
    stored = with_expected(store.lake.read(3), PUMP, ["flow", "heat"])
    names = stored["device_key"].replace_strict({1: "a", 2: "b"}, return_dtype=pl.String)
    assert frame.equals(stored.with_columns(names.alias("device_id")).select(COLUMNS))
    assert frame["low_flow"].null_count() == frame["score"].null_count() == 24


def test_the_text_is_that_of_the_api(store: Store) -> None:
    store.keep([1, 1], [0, 1])
    store.export("csv", everything("a,b"))
    assert (store.folder / "out.csv").read_text() == (
        ",".join(COLUMNS) + "\n"
        '"a,b",2026-01-01T00:00:00.000Z,0.0,1.0,,0.5,1.5,1.75,2.25\n'
        '"a,b",2026-01-01T00:01:00.000Z,0.25,1.1428571428571428,-1.0,0.5,1.5,1.75,2.25\n'
    )


@pytest.mark.parametrize("form", FORMATS)
def test_rows_that_the_lake_does_not_hold_yet_are_in_it(store: Store, form: Format) -> None:
    store.keep([1, 2], [0, 0])
    store.publish([1, 3], [1, 1])
    frame = store.export(form, everything("a", "b", "c"), chunk_rows=1)
    assert frame["device_id"].to_list() == ["a", "a", "b", "c"]
    store.publisher.publish_tail(3, rows([1], [0], 1), 1, 1)  # in the lake by now
    assert store.export(form, everything("a", "b", "c")).equals(frame)


def test_before_the_lake_has_a_table_there_is_what_was_published(store: Store) -> None:
    store.publish([1], [1])
    assert store.export("csv", everything("a"))["flow"].to_list() == [1 + 1 / 7]


def test_devices_and_times_are_chosen(store: Store) -> None:
    store.keep([1, 2, 3] * 10, [minute for minute in range(10) for _ in range(3)])
    chosen = Selection(3, PUMP, {3: "c", 1: "a"}, START_MS + 2 * 60_000, START_MS + 4 * 60_000)
    frame = store.export("parquet", chosen)
    assert frame["device_id"].to_list() == ["a", "a", "c", "c"]
    assert frame["timestamp"].dt.minute().to_list() == [2, 3, 2, 3]


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("before", [None, b"what was there"])
def test_without_readings_no_file_is_written(store: Store, form: Format, before: bytes | None) -> None:
    path = store.folder / "out"
    if before is not None:
        path.write_bytes(before)
    store.keep([1], [0])
    assert write_export(path, form, store.lake, store.published, everything("a", start=5)) == 0
    assert (path.read_bytes() if path.exists() else None) == before
    assert [name for name in os.listdir(store.folder) if name.startswith(".")] == []


@pytest.mark.parametrize("form", FORMATS)
def test_a_file_is_replaced_whole_or_not_at_all(store: Store, form: Format, small_files: int) -> None:
    path = store.folder / "out"
    path.write_bytes(b"what was there")
    for part in range(20):  # of files that are small enough
        store.keep([1] * 1500, list(range(part * 1500, part * 1500 + 1500)))
    with pytest.raises(StorageError, match=f"{path} can't be written: .*File too large|os error 27"):
        write_export(path, form, store.lake, store.published, everything("a"))
    assert path.read_bytes() == b"what was there"
    assert [name for name in os.listdir(store.folder) if name.startswith(".")] == []


@pytest.mark.parametrize("form", FORMATS)
def test_a_lake_that_can_not_be_read_is_named(store: Store, form: Format) -> None:
    store.keep([1], [0])
    for file in store.folder.glob("lake/readings/type-3/**/*.parquet"):
        file.unlink()
    with pytest.raises(StorageError, match="readings/type-3"):
        write_export(store.folder / "out", form, store.lake, store.published, everything("a"))
    assert not (store.folder / "out").exists()


def test_a_folder_that_is_not_there_is_named(store: Store) -> None:
    store.keep([1], [0])
    for form in FORMATS:
        with pytest.raises(StorageError, match="nowhere/out can't be written: .*(No such file|os error 2)"):
            write_export(store.folder / "nowhere" / "out", form, store.lake, store.published, everything("a"))


@pytest.mark.parametrize("chunk_rows", [1, 7, 25, 1000])
def test_few_devices_are_held_at_a_time(store: Store, chunk_rows: int) -> None:
    store.keep([key for key in range(1, 8) for _ in range(10)], list(range(10)) * 7)
    told: list[int] = []
    total = write_export(
        store.folder / "out",
        "csv",
        store.lake,
        store.published,
        everything(*"abcdefg"),
        told.append,
        chunk_rows=chunk_rows,
    )
    assert (total, sum(told)) == (70, 7)
    assert max(told) == max(1, min(7, chunk_rows // 10))


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.lists(st.tuples(st.booleans(), st.integers(1, 4), st.integers(0, 40)), min_size=1, max_size=12),
    chunk_rows=st.integers(1, 5),
    form=st.sampled_from(FORMATS),
)
def test_every_row_is_in_it_once(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[bool, int, int]], chunk_rows: int, form: Format
) -> None:
    store = Store(tmp_path_factory.mktemp("store"))
    for is_published, key, minute in sorted(steps):  # what the lake has came before what it hasn't
        (store.publish if is_published else store.keep)([key], [minute])
    frame = store.export(form, everything(*"1234"), chunk_rows)
    minutes = frame["timestamp"].dt.hour().cast(int) * 60 + frame["timestamp"].dt.minute().cast(int)
    assert list(zip(frame["device_id"].cast(int), minutes, strict=True)) == sorted({step[1:] for step in steps})
