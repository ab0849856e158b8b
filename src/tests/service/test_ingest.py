"""Files are taken in once, whoever does the work, and whatever interrupts it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from sqlalchemy import Engine

from ...exceptions import ConfigError, IngestError, StorageError
from ...fleet import backfill_jobs, device_types, owners
from ...fleet.database import connect, migrate, reading, writing
from ...service import backfill
from ...service.ingest import Order, Report, device_names, take_in
from ...service.live import Live
from ...settings import Settings
from ...telemetry.lake import Lake
from ...telemetry.mapping import Mapping, TimeColumn
from ...telemetry.schema import DeviceType
from . import fleet_of
from .fleet_of import MINUTE_MS, PUMP, START_MS

NOW_MS = START_MS + 10**9
MAPPING = Mapping(
    time=TimeColumn(column="time", format="milliseconds"),
    sensors={"Flow": "flow", "Load": "load", "Heat": "heat"},
    device_column="pump",
)
DEVICES, MINUTES, LEARN = range(1, 5), 400, 150


class Quiet:
    """Progress that nobody looks at."""

    def read(self, path: Path, rows: int) -> None:
        """So many rows of a file have been read."""

    def judged(self, rows: int, of: int) -> None:
        """So many rows of all have been taken in and judged."""


@dataclass
class Interrupted(Quiet):
    """Ctrl-C after so many rows."""

    after: int

    def judged(self, rows: int, of: int) -> None:
        """Stop here, if it is time."""
        if self.after <= rows < of:
            raise KeyboardInterrupt


@dataclass
class House:
    """A data folder with the type `pump`, an owner, and a file of four pumps, of which one breaks."""

    settings: Settings
    engine: Engine
    lake: Lake
    file: Path
    owner_id: int
    type_id: int

    def order(self, *paths: Path, mapping: Mapping = MAPPING, owner_id: int | None = None) -> Order:
        """The file, or others, learnt from as the tests do."""
        return Order(
            paths=paths or (self.file,),
            mapping=mapping,
            type_id=self.type_id,
            owner_id=owner_id or self.owner_id,
            learn=LEARN,
        )

    def take(self, order: Order | None = None, progress: Quiet | None = None) -> Report:
        """Take it in."""
        return take_in(
            self.settings, self.engine, self.lake, order or self.order(), lambda: NOW_MS, progress or Quiet()
        )

    def rows(self) -> pl.DataFrame:
        """What the lake holds, but for what differs from run to run."""
        return self.lake.read(self.type_id).drop("ingest_seq", "arrived", strict=False).sort("device_key", "timestamp")


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = new_house(tmp_path / "data", tmp_path / "pumps.csv")
    yield made
    made.engine.dispose()


def new_house(data: Path, file: Path) -> House:
    settings = Settings(data=data)
    data.mkdir()
    engine = connect(settings.database_url)
    migrate(engine)
    with writing(engine) as session:
        owner_id = owners.add(session, "Harbour Water", START_MS)
        type_id, _ = device_types.add(session, None, PUMP, START_MS)
    if not file.exists():
        table().write_csv(file)
    return House(settings, engine, Lake(settings.lake_url), file, owner_id, type_id)


def table() -> pl.DataFrame:
    """Readings of all devices; the third one runs hot at the end."""
    rows = fleet_of.readings(1, DEVICES, range(MINUTES))
    hot = (rows.keys == 3) & (rows.ts >= START_MS + 300 * MINUTE_MS)
    rows.values[hot, 2] += 8.0
    columns = {"pump": [f"pump-{key}" for key in rows.keys], "time": rows.ts}
    return pl.DataFrame(columns | {name: rows.values[:, i] for i, name in enumerate(("Flow", "Load", "Heat"))})


def test_a_file_is_kept_judged_and_alerted_on_without_a_service(house: House) -> None:
    report = house.take()
    assert (report.job.rows_done, report.devices, report.bad.total()) == (1600, 4, 0)
    assert report.job.scored == 1600 - 4 * LEARN
    assert report.job.alerts >= 1
    frame = house.rows()
    assert frame.height == 1600
    assert frame["score"].is_not_null().sum() == report.job.scored
    assert not frame["late"].any()
    assert list((house.settings.data / "spool").glob("*.json")) == []


def test_the_same_file_again_changes_nothing(house: House) -> None:
    house.take()
    before = house.rows()
    again = house.take()
    assert again.again
    assert house.rows().equals(before)


@pytest.mark.parametrize("after", [1, 500, 1100])
def test_what_was_interrupted_goes_on_where_it_was(
    tmp_path: Path, house: House, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    monkeypatch.setattr(backfill, "CHUNK_ROWS", 250)
    with pytest.raises(KeyboardInterrupt):
        house.take(progress=Interrupted(after))
    with reading(house.engine) as session:
        (job,) = backfill_jobs.unfinished(session)
    assert 0 < job.rows_done < 1600
    report = house.take()
    whole = new_house(tmp_path / "other", house.file)
    straight = whole.take()
    whole.engine.dispose()
    assert (report.job.rows_done, report.job.scored) == (straight.job.rows_done, straight.job.scored)
    assert report.job.alerts == straight.job.alerts
    assert house.rows().equals(whole.rows())


def test_a_full_disk_while_spooling_is_told_and_the_next_try_begins_anew(house: House) -> None:
    in_the_way = house.settings.data / "spool" / "job-000001-000000.arrow"
    in_the_way.mkdir(parents=True)
    with pytest.raises(StorageError, match="could not be written"):
        house.take()
    in_the_way.rmdir()
    assert house.take().job.rows_done == 1600
    assert house.rows().height == 1600


def test_a_running_service_does_the_work_beside_its_own(house: House) -> None:
    with Live(house.settings, house.engine, house.lake, clock=lambda: NOW_MS):
        report = house.take()
        assert report.job.state == "done"
    assert report.job.scored == 1600 - 4 * LEARN
    assert house.rows().height == 1600


def test_bad_rows_go_to_quarantine_with_their_reason_and_take_no_good_row_along(house: House) -> None:
    lines = house.file.read_text().splitlines()
    lines[5] = lines[5].replace("pump-", "pump-", 1).rsplit(",", 1)[0] + ",hot"
    lines[9] = "pump-1,soon,1,2,3"
    house.file.write_text("\n".join(lines) + "\n")
    report = house.take()
    assert report.job.rows_done == 1598
    assert dict(report.bad) == {"unparsable": 2}
    told = [row.message for row in report.examples]
    assert told[0] == "pumps.csv, line 6: Heat is 'hot'; expected a number"
    assert told[1].startswith("pumps.csv, line 10: time is 'soon'; expected")
    kept = house.lake.read_quarantine()
    assert sorted(kept["message"].to_list()) == sorted(told)


def test_a_file_without_one_good_row_is_refused_and_leaves_nothing(house: House) -> None:
    house.file.write_text("pump,time,Flow,Load,Heat\npump-1,soon,1,2,3\npump-1,later,1,2,3\n")
    with pytest.raises(IngestError, match="no row that can be taken: 2 bad ones; the first: pumps.csv, line 2: time"):
        house.take()
    with reading(house.engine) as session:
        assert backfill_jobs.unfinished(session) == []


def test_a_device_of_another_type_is_named(house: House) -> None:
    house.take()
    with writing(house.engine) as session:
        house.type_id, _ = device_types.add(session, None, DeviceType(name="mill", sensors=PUMP.sensors), START_MS)
    with pytest.raises(IngestError, match="device 'pump-1' is a 'pump' already, not a 'mill'"):
        house.take()


def test_two_owners_may_have_devices_of_the_same_name(house: House) -> None:
    house.take()
    with writing(house.engine) as session:
        other = owners.add(session, "Tide Mills", START_MS)
    report = house.take(house.order(owner_id=other))
    assert (report.job.rows_done, report.again) == (1600, False)
    assert house.rows()["device_key"].n_unique() == 8


def test_rows_that_are_there_already_come_once(house: House, tmp_path: Path) -> None:
    house.take()
    more = tmp_path / "more.csv"
    table().head(900).write_csv(more)
    report = house.take(house.order(more))
    assert report.job.scored == 0
    frame = house.rows()
    assert frame.height == 1600
    assert np.isfinite(frame["flow"].to_numpy()).all()


def test_devices_are_called_as_their_files_and_folders() -> None:
    a, b, c = Path("/x/valve1/0.csv"), Path("/x/valve2/0.csv"), Path("/x/valve2/1.csv")
    assert device_names([a, b, c]) == {a: "valve1-0", b: "valve2-0", c: "1"}
    with pytest.raises(ConfigError, match="would both be device 'valve1-0'"):
        device_names([a, Path("/y/valve1/0.csv")])
