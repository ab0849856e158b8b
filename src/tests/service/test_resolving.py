"""The devices and types that senders mean by names, each sender by their own."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from ...fleet.tokens import TokenInfo
from ...service.decoded import Block, Names
from ...service.directory import Directory
from ...service.resolving import NO_TYPE, Newcomers, Resolved, resolve
from ...telemetry.quality import Reason
from .intakes import FRIDGE, NOW, WayIn, way_in


@pytest.fixture
def fleet(tmp_path: Path) -> WayIn:
    """Two owners; each has a `unit-1`: the first a pump, the other a fridge of their own type."""
    with way_in(tmp_path / "fleet", started=False) as way:
        way.registry.add_type(way.other, FRIDGE, NOW)
        way.registry.register(way.owner, [("unit-1", way.pump, None)], NOW)
        own = way.registry.type_by_name(way.other, "fridge")
        assert own is not None and own != way.fridge
        way.registry.register(way.other, [("unit-1", own, None)], NOW)
        return way


def _resolved(way: WayIn, rows: list[tuple[int, str, str | None]], *tokens: TokenInfo) -> tuple[Resolved, Newcomers]:
    """Resolve rows (number of the request, device, type)."""
    block = Block(
        numbers=np.arange(len(rows)),
        requests=np.array([request for request, _, _ in rows], np.int64),
        device_ids=pl.Series([device for _, device, _ in rows], dtype=pl.String),
        ts=np.full(len(rows), NOW),
        types=Names.of([name for _, _, name in rows]),
        sites=None,
        sensors=("temperature",),
        values=np.zeros((len(rows), 1)),
    )
    newcomers = Newcomers()
    return resolve(block, tokens, Directory(way.registry), newcomers), newcomers


def _why(resolved: Resolved, at: int) -> tuple[str, str]:
    return Reason(resolved.codes[at]).name, resolved.messages[at]


def test_of_two_owners_in_one_group_each_means_their_own_devices_and_types(fleet: WayIn) -> None:
    rows: list[tuple[int, str, str | None]] = [
        (0, "unit-1", "pump"),
        (1, "unit-1", "fridge"),
        (0, "unit-2", "fridge"),
        (1, "unit-2", "fridge"),
        (1, "unit-1", "pump"),
    ]
    found, newcomers = _resolved(fleet, rows, fleet.token(), fleet.token(fleet.other))
    own = fleet.registry.type_by_name(fleet.other, "fridge")
    assert found.codes[:4].tolist() == [0, 0, 0, 0]
    assert found.keys[0] != found.keys[1] and (found.keys[:2] > 0).all()
    assert found.type_ids.tolist() == [fleet.pump, own, fleet.fridge, own, own]
    assert [newcomers.of(int(key)).owner_id for key in found.keys[2:4]] == [fleet.owner, fleet.other]
    reason, message = _why(found, 4)
    assert reason == "wrong_type" and message == "device 'unit-1' is a 'fridge', but the row names type 'pump'"


def test_a_type_that_only_the_other_owner_has_is_unknown(fleet: WayIn) -> None:
    secret = FRIDGE.__class__(name="prototype", sensors=FRIDGE.sensors)
    fleet.registry.add_type(fleet.other, secret, NOW)
    rows: list[tuple[int, str, str | None]] = [(0, "unit-9", "prototype"), (1, "unit-9", "prototype")]
    found, _ = _resolved(fleet, rows, fleet.token(), fleet.token(fleet.other))
    assert _why(found, 0)[0] == "unknown_type" and found.codes[1] == 0


def test_a_newcomer_is_of_the_type_that_its_first_row_names(fleet: WayIn) -> None:
    rows: list[tuple[int, str, str | None]] = [(0, "new", "pump"), (0, "new", "fridge"), (0, "new", "pump")]
    found, newcomers = _resolved(fleet, rows, fleet.token())
    assert found.keys.tolist() == [-1, 0, -1] and len(newcomers.all) == 1
    assert _why(found, 1) == ("wrong_type", "device 'new' is a 'pump', but the row names type 'fridge'")


def test_a_newcomer_whose_type_nobody_names_is_unknown(fleet: WayIn) -> None:
    found, newcomers = _resolved(fleet, [(0, "new", None)], fleet.token())
    assert _why(found, 0) == (
        "unknown_device",
        "device 'new' is not known: name its type, so that it can be registered",
    )
    assert newcomers.all == [] and found.type_ids.tolist() == [NO_TYPE]


@pytest.mark.parametrize(
    ("devices", "named"),
    [
        ([], "no device"),
        (["unit-2"], "'unit-2'"),
        (["e", "d", "c", "b", "a"], "'a', 'b', 'c' and 2 more"),
    ],
)
def test_a_token_for_other_devices_is_told_which(fleet: WayIn, devices: list[str], named: str) -> None:
    found, _ = _resolved(fleet, [(0, "unit-1", "pump")], fleet.token(devices=devices))
    assert _why(found, 0) == (
        "forbidden_device",
        f"this token may not write device 'unit-1': it is for {named} only",
    )


def test_an_id_or_site_that_no_new_device_may_have_is_refused(fleet: WayIn) -> None:
    found, newcomers = _resolved(fleet, [(0, "bell\x07", "pump")], fleet.token())
    assert _why(found, 0)[0] == "unparsable" and newcomers.all == []
