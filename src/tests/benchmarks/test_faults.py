"""`faultwatch benchmark faults`: its files, its measures, and the figures that are promised on C-MAPSS."""

from pathlib import Path

import msgspec
import numpy as np
import pytest

from ...benchmarks import fault_peers, protocol_cmapss
from ...benchmarks.fault_measures import COLUMNS, Predicted, area_under_roc, budget_threshold, figures_of
from ...benchmarks.faults import run, tell
from ...exceptions import ConfigError, DataValidationError
from ..systems import shared_data

MODELS = {"faultwatch", *(f"{peer}_{kind}" for peer in ("lr", "rf", "hgb", "lgbm") for kind in ("raw", "features"))}


def predicted(device: list[int], faulty: list[int], probability: list[float]) -> Predicted:
    left = np.zeros(len(device), np.int64)
    for name in set(device):
        rows = np.flatnonzero(np.array(device) == name)
        left[rows] = np.arange(len(rows))[::-1]
    return Predicted(np.array(device), np.array(faulty, bool), np.array(probability), left)


def test_measures_on_rows_counted_by_hand() -> None:
    said = predicted([1, 1, 1, 1, 2, 2, 2, 2], [0, 0, 1, 1, 0, 0, 1, 1], [0.1, 0.1, 0.6, 0.9, 0.1, 0.7, 0.7, 0.2])
    assert area_under_roc(said.faulty, said.probability) == pytest.approx((3 + 4 + 3.5 + 3) / 16)
    # Four healthy rows allow no false alarm at all; 0.7 would begin one in a healthy row.
    assert budget_threshold(said) == 0.9
    figures = figures_of(said)
    assert figures["recall_at_budget"] == 0.25
    assert figures["lead_time_median"] == 0.0
    assert figures["brier"] == pytest.approx(np.mean([0.01, 0.01, 0.16, 0.01, 0.01, 0.49, 0.09, 0.64]), abs=1e-4)


def write_engines(path: Path, n_engines: int = 30) -> None:
    rng = np.random.default_rng(3)
    lines = []
    for engine in range(1, n_engines + 1):
        life = int(rng.integers(70, 110))
        for cycle in range(1, life + 1):
            wear = np.exp(-(life - cycle) / 20)
            sensors = rng.normal(size=21) * 0.4 + wear * np.linspace(-2, 2, 21)
            lines.append(" ".join(f"{value:.4f}" for value in [engine, cycle, 0.0, 0.0, 100.0, *sensors]) + "  ")
    path.write_text("\n".join(lines) + "\n")


def test_figures_a_table_and_a_picture_are_written(tmp_path: Path) -> None:
    write_engines(tmp_path / "engines.txt", 10)
    engines = protocol_cmapss.read(tmp_path / "engines.txt")
    rng = np.random.default_rng(1)
    guesses = {name: np.clip(engines.faulty * 0.5 + rng.random(len(engines.left)) * 0.5, 0, 1) for name in MODELS}
    said = {name: Predicted(engines.engine, engines.faulty, each, engines.left) for name, each in guesses.items()}
    chosen = [protocol_cmapss.Chosen((3.0,), 1.0, "platt", {"linear: 1": 0.1})]
    text = tell(engines, said, chosen, tmp_path / "faults.json")
    told = msgspec.json.decode((tmp_path / "faults.json").read_bytes())
    assert set(told["models"]) == MODELS
    assert all(set(each) == set(COLUMNS) for each in told["models"].values())
    assert told["models"]["faultwatch"]["pr_auc"] == 1.0
    assert (tmp_path / "faults.md").read_text() == text
    assert (tmp_path / "faults.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("name", ["lr", "lgbm"])
def test_a_peer_learns_from_smoothed_sensors(name: str, tmp_path: Path) -> None:
    write_engines(tmp_path / "engines.txt", 10)
    engines = protocol_cmapss.read(tmp_path / "engines.txt")
    learn = engines.engine <= 7
    features = fault_peers.smoothed(engines.engine, engines.values)
    assert features.shape == (len(learn), 4 * 24 + 1)
    said = fault_peers.predict(name, features, engines.faulty, learn)
    assert area_under_roc(engines.faulty[~learn], said) > 0.97


def test_no_engine_is_learnt_from_and_judged(tmp_path: Path) -> None:
    write_engines(tmp_path / "engines.txt", 13)
    engines = protocol_cmapss.read(tmp_path / "engines.txt")
    for seed in (None, 1):
        found = np.concatenate(protocol_cmapss.parts(engines.engine, seed))
        assert sorted(found.tolist()) == list(range(1, 14))


def test_a_file_that_is_no_such_data_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--data"):
        protocol_cmapss.read(None)
    (tmp_path / "few.txt").write_text("1 2 3\n")
    with pytest.raises(DataValidationError, match="3 columns; expected 26"):
        protocol_cmapss.read(tmp_path / "few.txt")
    (tmp_path / "words.txt").write_text("not numbers\n")
    with pytest.raises(DataValidationError, match="can't be read"):
        protocol_cmapss.read(tmp_path / "words.txt")


@pytest.mark.verify
def test_promised_figures_on_cmapss(tmp_path: Path) -> None:
    file = shared_data.FOLDER / "cmapss" / "train_FD001_odd_units.txt"
    if not file.is_file():
        pytest.skip(f"no {file}; set FAULTWATCH_SHARED_DATA to the folder that holds skab/ and cmapss/")
    run(file, tmp_path / "faults.json", lambda line: None)
    models = msgspec.json.decode((tmp_path / "faults.json").read_bytes())["models"]
    assert set(models) == MODELS
    figures = models["faultwatch"]
    assert all(figures["pr_auc"] > each["pr_auc"] for name, each in models.items() if name != "faultwatch")
    assert figures["pr_auc"] >= 0.992
    assert figures["roc_auc"] >= 0.998
    assert figures["brier"] <= 0.0122
