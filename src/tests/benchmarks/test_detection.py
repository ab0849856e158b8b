"""`faultwatch benchmark detection`: its files, its rule, and the figures that are promised on SKAB."""

from pathlib import Path

import msgspec
import numpy as np
import pytest

from ...benchmarks import protocol_skab
from ...benchmarks.contestants import TAIL, Compared, Ours, contestants, split
from ...benchmarks.detection import run
from ...benchmarks.measures import Events, Rows
from ...benchmarks.peers import ThreeSigma
from ...benchmarks.report import COLUMNS, Figures
from ...detection.blocks import TrainingRows
from ...exceptions import ConfigError

DETECTORS = {"faultwatch", "three_sigma", "ewma", "pyod_ecod", "pyod_iforest", "pyod_pca", "pyod_knn"}


def write_experiment(path: Path, seed: int, fault: float, rows: int = 700) -> None:
    """An experiment as SKAB writes them: two sensors, one of them off by `fault` from row 500 to 600."""
    rng = np.random.default_rng(seed)
    values = rng.normal([10.0, 3.0], [1.0, 0.1], size=(rows, 2))
    anomaly = np.zeros(rows, np.int64)
    anomaly[500:600] = 1
    values[500:600, 1] += fault
    seconds = np.arange(rows)
    lines = [
        f"2020-03-09 10:{second // 60:02d}:{second % 60:02d};{a:.4f};{b:.4f};{mark}.0;0.0"
        for second, (a, b), mark in zip(seconds, values, anomaly, strict=True)
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(["datetime;Pressure;Volume Flow RateRMS;anomaly;changepoint", *lines]) + "\n")


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("skab")
    for number in range(4):
        write_experiment(folder / "valve1" / f"{number}.csv", number, 0.5)
    (folder / "anomaly-free.csv").write_text("datetime;Pressure;Volume Flow RateRMS\n2020-02-08 13:30:47;1.0;2.0\n")
    return folder


@pytest.fixture(scope="module")
def written(recordings: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("figures") / "skab.json"
    run("skab", recordings, "full", file, lambda line: None)
    return file


def figures(file: Path) -> dict[str, Figures]:
    return msgspec.convert(msgspec.json.decode(file.read_bytes())["detectors"], dict[str, Figures])


def test_every_detector_has_every_figure(written: Path) -> None:
    found = figures(written)
    assert set(found) == DETECTORS == set(contestants(TAIL))
    assert {key for each in found.values() for key in each} == set(COLUMNS)
    assert all(0.0 <= (each["far"] or 0.0) <= 1.0 and 0.0 <= (each["mar"] or 0.0) <= 1.0 for each in found.values())


def test_a_table_and_a_picture_are_beside_the_figures(written: Path) -> None:
    table = written.with_suffix(".md").read_text()
    assert all(f"| {name} |" in table for name in DETECTORS)
    assert written.with_suffix(".png").read_bytes().startswith(b"\x89PNG")


def test_a_plain_fault_is_found_by_ours(written: Path) -> None:
    ours = figures(written)["faultwatch"]
    assert (ours["f1"] or 0.0) > 0.8
    assert ours["event_recall"] == 1.0
    assert (ours["bytes_per_device"] or 0) <= 512


def test_the_run_without_labels_is_left_out_and_ci_takes_a_part(recordings: Path) -> None:
    assert [one.name for one in protocol_skab.load(recordings)] == [f"valve1/{number}" for number in range(4)]
    told: list[str] = []
    assert len(protocol_skab.measure(recordings, "ci", told.append)["faultwatch"]) == 1
    assert told[0] == "faultwatch on 1 experiments"


def test_labels_of_the_test_rows_are_never_seen(recordings: Path) -> None:
    experiment = protocol_skab.load(recordings)[0]
    blind = protocol_skab.Experiment(
        experiment.name, experiment.ts, experiment.values, ~experiment.anomaly, experiment.sensor_names
    )
    for contestant in (Ours(TAIL), Compared(ThreeSigma)):
        seen, unseen = (protocol_skab.judge(contestant, one).judged for one in (experiment, blind))
        assert seen.alarm.tobytes() == unseen.alarm.tobytes()


def test_thresholds_are_set_on_rows_that_were_not_learnt_from() -> None:
    ts = np.arange(100) * 1000
    values = ts[:, None].astype(np.float64)
    one = TrainingRows(np.zeros(100, np.int64), ts, values, 1000, ("a",), np.array([np.nan]))
    learnt, rest = split(one)
    assert (len(learnt), len(rest)) == (60, 40)
    assert learnt.ts.max() < rest.ts.min()
    many = TrainingRows(ts // 20_000, ts, values, 1000, ("a",), np.array([np.nan]))
    learnt, rest = split(many)
    assert set(learnt.device.tolist()) == {0, 2, 4} and set(rest.device.tolist()) == {1, 3}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (None, "no labelled experiment of SKAB"),
        ("datetime;a;anomaly\n2020-03-09 10:00:00;1.0;0\n", "1 rows; expected more than the 400"),
        ("datetime;a;anomaly\n" + "soon;1.0;0\n" * 500, "expected times, numbers and labels"),
    ],
)
def test_folders_that_hold_something_else_are_refused(tmp_path: Path, text: str | None, complaint: str) -> None:
    if text is not None:
        (tmp_path / "one.csv").write_text(text)
    with pytest.raises(ConfigError, match=complaint):
        protocol_skab.load(tmp_path)


def test_skab_needs_a_folder(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--protocol skab needs --data FOLDER"):
        run("skab", None, "full", tmp_path / "f.json", lambda line: None)


def test_ours_on_skab_is_as_good_as_promised(shared_data: Path) -> None:
    experiments = protocol_skab.load(shared_data / "skab")
    judged = [protocol_skab.judge(Ours(TAIL), experiment).judged for experiment in experiments]
    rows = Rows.of(judged)
    assert (rows.f1 or 0.0) >= 0.86
    assert (rows.far if rows.far is not None else 1.0) <= 0.15
    assert (Events.of(judged).recall or 0.0) >= 0.85
