"""Batch scoring and backtest: the same scores as live, and budgets counted by the alert engine."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from ...components.workplace import Workplace
from ...detection.blocks import Block
from ...detection.detector import Detector
from ...exceptions import ModelError
from ...pipelines.cli import backtest, predict
from ...pipelines.runner import execute
from ...pipelines.runs import Trigger
from ...pipelines.training import TRAINING
from ..components import lakeside
from ..detection import fleet

DEVICES, MINUTES, FROM = 20, 1500, 1000


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    """A fleet of which device 3 is odd from minute 1,200 on, and a model that serves it."""
    values = fleet.values(1, DEVICES, MINUTES)
    values[1200:, 2, :] += 8 * np.nanstd(values, axis=(0, 1))
    place, type_id = lakeside.with_readings(tmp_path_factory.mktemp("served") / "data", DEVICES, MINUTES, values=values)
    execute(TRAINING, place, type_id, Trigger("on demand", "ann"), clock=lambda: lakeside.NOW)
    return place


def test_batch_scores_are_what_the_detector_says_live(served: Workplace, tmp_path: Path) -> None:
    predict(data=served.data, days=500 / 1440, settle=1.0, out=tmp_path)
    scores = pl.concat([pl.read_parquet(file) for file in sorted((tmp_path / "pump").glob("*.parquet"))])
    assert len(scores) == DEVICES * 500
    champion = served.champion(1)
    assert champion is not None
    detector = Detector.load(served.models(1) / champion.folder)
    rows = served.lake.read(1).sort("timestamp", "device_key")
    ts = rows["timestamp"].dt.epoch("ms").to_numpy()
    state = detector.new_state(DEVICES)
    values = rows.select(fleet.NAMES).fill_null(float("nan")).to_numpy()
    block = Block((rows["device_key"].to_numpy() - 1).astype(np.int32), ts, np.ascontiguousarray(values))
    early = ts < fleet.START + FROM * fleet.MINUTE
    parts = [Block(block.slots[at], block.ts[at], block.values[at]) for at in (early, ~early)]
    detector.warm(state, parts[0])
    live = detector.update(state, parts[1])
    ordered = scores.sort("timestamp", "device_key")
    np.testing.assert_array_equal(ordered["score"].to_numpy(), live.score)
    odd = scores.filter("odd")
    assert set(odd["device_key"]) == {3} and len(odd) > 250


def test_a_backtest_counts_what_budgets_would_have_alerted(
    served: Workplace, capsys: pytest.CaptureFixture[str]
) -> None:
    backtest(data=served.data, days=500 / 1440, settle=1.0, as_json=True)
    replayed = json.loads(capsys.readouterr().out)["pump"]
    owners = {one["times"]: one for one in replayed["owners"]}
    assert set(owners) == {0.25, 0.5, 1.0, 2.0, 4.0} and owners[1.0]["owner"] == "acme"
    a_day = 1440 / 500
    assert owners[1.0]["budget_a_day"] == pytest.approx(20 / 30)
    assert owners[1.0]["alerts_a_day"] == pytest.approx(a_day, rel=0.01), "device 3, once"
    alerts = [owners[times]["alerts_a_day"] for times in sorted(owners)]
    limits = [owners[times]["median_score"] for times in sorted(owners)]
    assert alerts == sorted(alerts) and limits == sorted(limits, reverse=True)
    sizes = {(one["devices"], one["times"]): one["median_score"] for one in replayed["sizes"]}
    assert sizes[10_000, 1.0] > sizes[200, 1.0] > sizes[1, 1.0]
    assert replayed["actual"] == [{"owner": "acme", "alerts_a_day": 0.0, "confirmed_a_day": 0.0}]
    backtest(data=served.data, days=500 / 1440, settle=1.0, devices=10)
    assert "of 10 of 20 devices, scaled up" in capsys.readouterr().out


def test_a_version_that_is_not_there_says_which_are(served: Workplace) -> None:
    with pytest.raises(ModelError, match="no model version 7; there are: 1"):
        predict(data=served.data, version=7)
