"""The load test tells the truth: every row it sent is found again, in every format."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from ...benchmarks.load_bodies import CONTENT_TYPES, Format, read_bodies, write_bodies
from ...benchmarks.made_fleet import BROKEN, MINUTE_MS, MadeFleet
from ...benchmarks.throughput import Load, measure
from ...cli import app
from ...service.decode import decode

FLEET = MadeFleet(devices=2_500, sensors=8, start_ms=1_780_272_000_000)
FORMS: list[Format] = ["arrow", "json-rows", "json-columns"]


def test_a_device_sends_the_same_whoever_asks() -> None:
    some, all_of_them = np.array([7, 1_500, 2_499]), np.arange(2_500)
    assert np.array_equal(FLEET.values(some, 2), FLEET.values(all_of_them, 2)[some])
    assert not np.array_equal(FLEET.values(some, 1), FLEET.values(some, 2))


def test_one_device_in_a_thousand_is_broken_and_copies_are_alike() -> None:
    numbers = np.arange(2_500)
    assert np.flatnonzero(FLEET.is_faulty(numbers)).tolist() == [BROKEN, BROKEN + 1_000]
    values = FLEET.values(numbers, 0)
    assert np.array_equal(values[3], values[1_003])
    before = FLEET.prototype_values(-20)
    assert (np.abs(values[BROKEN] - before[BROKEN]) > 4).all()


@pytest.mark.parametrize("form", FORMS)
def test_bodies_hold_every_row_in_the_order_of_time(tmp_path: Path, form: Format) -> None:
    numbers = np.arange(10, 25)
    write_bodies(tmp_path / "bodies", FLEET, numbers, minutes=3, form=form, rows_per_request=6)
    found = []
    for body, rows in read_bodies(tmp_path / "bodies"):
        decoded = decode(body, CONTENT_TYPES[form], "made", 1_000)
        assert decoded.count == rows <= 6
        blocks = [
            (name, int(t)) for block in decoded.blocks for name, t in zip(block.device_ids, block.ts, strict=True)
        ]
        found += blocks or [(row.device_id, 0) for row in decoded.rows]
    assert len(found) == 45
    assert [name for name, _ in found[:15]] == [FLEET.device_id(number) for number in range(10, 25)]
    if form == "arrow":
        assert [t for _, t in found] == sorted(t for _, t in found)
        assert found[-1][1] == FLEET.start_ms + 2 * MINUTE_MS


def test_every_row_is_accepted_scored_and_read_back_and_alerts_are_those_of_a_replay(tmp_path: Path) -> None:
    figures = measure(Load(devices=2_000, sensors=4, minutes=3, form="arrow", rows_per_request=500), tmp_path)
    counts = [figures[name] for name in ("rows_sent", "rows_accepted", "rows_scored", "rows_read_back")]
    assert counts == [6_000] * 4
    assert figures["alerts_fired"] == figures["alerts_fired_in_replay"] == 2
    assert (figures["devices_registered"], figures["queue_left"]) == (2_000, 0)


@pytest.mark.verify
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("rows_per_request", [1, 500])
def test_the_command_writes_its_figures(tmp_path: Path, form: Format, rows_per_request: int) -> None:
    target = tmp_path / "figures.json"
    arguments = ["benchmark", "throughput", "--devices", "1000", "--minutes", "3", "--format", form]
    done = CliRunner().invoke(app, [*arguments, "--rows-per-request", str(rows_per_request), "--json", str(target)])
    assert done.exit_code == 0, done.output
    figures = json.loads(target.read_text())
    assert figures["rows_sent"] == figures["rows_read_back"] == 3_000
    assert figures["alerts_fired"] == figures["alerts_fired_in_replay"] > 0
