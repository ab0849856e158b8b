"""Readings are exported from the command line as they were stored, an owner's apart from all others'."""

import math
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner, Result

from ...cli import app
from ...exceptions import FaultwatchError
from ...fleet import database, owners
from ...fleet.registry import Registry
from ...telemetry.lake import Lake
from ...telemetry.published import Publisher
from ...telemetry.schema import DeviceType, Sensor
from ..checkout import ROOT
from ..telemetry.frames import scored
from .conftest import NOW_MS, PUMP

FAN = DeviceType(name="fan", sensors=(Sensor(name="speed"),))
MINUTES = 30


class Station:
    """A data folder: Nordwind and Suedwerk both have a pump-1, Nordwind has a fan-1 besides."""

    def __init__(self, folder: Path) -> None:
        self.data = folder / "data"
        self.data.mkdir()
        engine = database.connect(f"sqlite:///{self.data / 'faultwatch.db'}")
        database.migrate(engine)
        registry = Registry(engine)
        with database.writing(engine) as session:
            self.north, self.south = (owners.add(session, name, NOW_MS) for name in ("Nordwind", "Suedwerk"))
            owners.add(session, "Westhof", NOW_MS)
        self.pump, _ = registry.add_type(None, PUMP, NOW_MS)
        self.fan, _ = registry.add_type(None, FAN, NOW_MS)
        made = registry.register(self.north, [("pump-1", self.pump, None), ("fan-1", self.fan, None)], NOW_MS)
        made += registry.register(self.south, [("pump-1", self.pump, None), ("pump-2", self.pump, None)], NOW_MS)
        self.keys = {(entry.owner_id, entry.device_id): entry.key for entry in made}
        engine.dispose()
        self.lake = Lake(str(self.data / "lake"))
        for seq, key in enumerate([self.keys[self.north, "pump-1"], self.keys[self.south, "pump-1"]], 1):
            self.lake.append(self.pump, self.rows(key, seq), app_id="shard-0", version=seq)

    def rows(self, key: int, seq: int, minutes: range = range(MINUTES)) -> pl.DataFrame:
        """Scored rows of a pump, none the same as another device's."""
        return scored(
            [key] * len(minutes),
            minutes,
            seq,
            pressure=[key + minute / 3 for minute in minutes],
            vibration=[math.nan if minute % 4 == 0 else minute / 7 for minute in minutes],
            score=[minute / 8 for minute in minutes],
            bands=[[1.0, 2.0, 0.5, 0.5] if minute % 10 == 0 else None for minute in minutes],
        )

    def export(self, *arguments: str | Path) -> Result:
        """A run of `faultwatch export`; an error is raised as the command line would print it."""
        done = CliRunner().invoke(app, ["export", *map(str, arguments), "--data", str(self.data)])
        if isinstance(done.exception, FaultwatchError):
            raise done.exception
        assert done.exit_code == 0, (done.output, done.exception)
        return done

    def error(self, *arguments: str | Path) -> str:
        """The line that a command ends with."""
        with pytest.raises(FaultwatchError) as caught:
            self.export(*arguments)
        return str(caught.value)


@pytest.fixture(scope="module")
def station(tmp_path_factory: pytest.TempPathFactory) -> Station:
    return Station(tmp_path_factory.mktemp("station"))


def read(path: Path) -> pl.DataFrame:
    return pl.read_csv(path, try_parse_dates=True) if path.suffix == ".csv" else pl.read_parquet(path)


@pytest.mark.parametrize("name", ["out.csv", "out.parquet"])
def test_what_is_read_back_is_what_was_stored(station: Station, tmp_path: Path, name: str) -> None:
    out = tmp_path / name
    done = station.export("--owner", "Suedwerk", "--out", out)
    assert (done.stdout, done.stderr) == ("", f"30 readings of type 'pump' are in {out}\n")
    frame = read(out)
    assert frame.columns == [
        *("device_id", "timestamp", "score", "pressure", "vibration"),
        *("low_pressure", "high_pressure", "low_vibration", "high_vibration"),
    ]
    stored = station.lake.read(station.pump, device_keys=[station.keys[station.south, "pump-1"]])
    for column in ("timestamp", "score", "pressure", "vibration"):
        assert frame[column].to_list() == stored[column].to_list()
    assert frame["low_pressure"].to_list() == [0.5] * MINUTES
    assert frame["high_vibration"].to_list() == [2.5] * MINUTES


def test_devices_of_two_owners_with_the_same_name_are_kept_apart(station: Station, tmp_path: Path) -> None:
    frames = []
    for owner in ("Nordwind", "Suedwerk"):
        station.export("--owner", owner, "--type", "pump", "--device", "pump-1", "--out", tmp_path / f"{owner}.csv")
        frames.append(read(tmp_path / f"{owner}.csv"))
    assert frames[0]["device_id"].to_list() == frames[1]["device_id"].to_list() == ["pump-1"] * MINUTES
    keys = [station.keys[owner, "pump-1"] for owner in (station.north, station.south)]
    assert [frame["pressure"][0] for frame in frames] == keys


def test_devices_and_times_are_chosen(station: Station, tmp_path: Path) -> None:
    out = tmp_path / "out.data"
    span = ("--from", "2026-01-01T00:05:00Z", "--to", "2026-01-01T01:10:00+01:00")
    station.export(
        "--owner", "Suedwerk", "--device", "pump-2", "--device", "pump-1", *span, "--format", "csv", "--out", out
    )
    frame = pl.read_csv(out, try_parse_dates=True)
    assert frame["timestamp"].dt.minute().to_list() == [5, 6, 7, 8, 9]


def test_the_type_of_the_devices_named_is_meant(station: Station, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    station.export("--owner", "Nordwind", "--device", "pump-1", "--out", out)
    assert read(out).height == MINUTES


def test_readings_of_the_last_minute_are_in_it(tmp_path: Path) -> None:
    station = Station(tmp_path)
    newest = station.rows(station.keys[station.south, "pump-2"], 9, range(40, 42))
    Publisher(station.data / "published" / "shard-0").publish_tail(station.pump, newest, 9, 9)
    station.export("--owner", "Suedwerk", "--out", tmp_path / "out.parquet")
    assert read(tmp_path / "out.parquet")["device_id"].to_list() == ["pump-1"] * MINUTES + ["pump-2"] * 2


def test_a_file_that_is_there_is_replaced_by_force_only(station: Station, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    out.write_text("mine")
    arguments = ("--owner", "Suedwerk", "--out", out)
    assert station.error(*arguments) == f"{out} is there already; name another file, or give --force to replace it"
    assert out.read_text() == "mine"
    station.export(*arguments, "--force")
    assert read(out).height == MINUTES
    assert os.listdir(tmp_path) == ["out.csv"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("", "name the owner with --owner; there are: 'Nordwind', 'Suedwerk', 'Westhof'"),
        ("--owner Ost", "no owner is called 'Ost'; there are: 'Nordwind', 'Suedwerk', 'Westhof'"),
        ("--owner Westhof", "this owner has no devices; nothing was written"),
        ("--owner Nordwind", "name the device type with --type; the devices are of: 'fan', 'pump'"),
        ("--owner Nordwind --type oven", "there is no device type 'oven'; the devices are of: 'fan', 'pump'"),
        ("--owner Suedwerk --type fan", "this owner has no devices of type 'fan'; nothing was written"),
        ("--owner Nordwind --type fan", "there are no readings of type 'fan'; nothing was written"),
        (
            "--owner Suedwerk --to 2020-01-01T00:00:00Z",
            "there are no readings of type 'pump' to 2020-01-01T00:00:00Z; nothing was written",
        ),
        ("--owner Suedwerk --device fan-1", "there is no device 'fan-1' of this owner; there are: 'pump-1', 'pump-2'"),
        (
            "--owner Nordwind --type pump --device fan-1",
            "device 'fan-1' is not of type 'pump'; leave it or --type out",
        ),
        ("--owner Suedwerk --from noon", "--from 'noon': expected a time with a zone, such as 2026-01-31T12:00:00Z"),
        ("--to 2026-01-01T00:00:00", "--to '2026-01-01T00:00:00': expected a time with a zone"),
        (
            "--from 2026-01-02T00:00:00Z --to 2026-01-01T00:00:00Z",
            "--from 2026-01-02T00:00:00Z is not before --to 2026-01-01T00:00:00Z; give an earlier --from",
        ),
    ],
)
def test_what_can_not_be_exported_is_said(station: Station, tmp_path: Path, arguments: str, said: str) -> None:
    assert station.error(*arguments.split(), "--out", tmp_path / "out.csv").startswith(said)
    assert os.listdir(tmp_path) == []


def test_a_file_that_can_not_be_written_is_named(station: Station, tmp_path: Path) -> None:
    lost = tmp_path / "nowhere" / "out.csv"
    said = f"{lost} can't be written: there is no folder {lost.parent}; make it first"
    assert station.error("--out", lost) == said
    assert station.error("--out", tmp_path, "--format", "csv") == f"{tmp_path} is a folder; name a file in it"
    out = tmp_path / "out.xlsx"
    assert station.error("--out", out) == f"{out} ends neither in .csv nor in .parquet; name the format with --format"


def test_a_terminal_sees_how_far_it_is(station: Station, tmp_path: Path) -> None:
    root = __package__.partition(".")[0]
    arguments = ["export", "--owner", "Suedwerk", "--out", str(tmp_path / "out.csv"), "--data", str(station.data)]
    terminal, end = pty.openpty()
    subprocess.run(
        [sys.executable, "-m", root, *arguments],
        stdout=subprocess.DEVNULL,
        stderr=end,
        check=True,
        cwd=ROOT,
        env={**os.environ, "TERM": "xterm"},
        timeout=60,
    )
    os.close(end)
    shown = os.read(terminal, 1 << 16)
    os.close(terminal)
    assert re.search(rb"writing devices.*2/2", shown), shown
