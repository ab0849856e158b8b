"""The Skoltech Anomaly Benchmark by its leaderboard's protocol: fit on 400 rows of each experiment, test on the rest.

One setting for all experiments, no label seen; rates over the test rows of all together. (Katser and Kozitsin, 2020,
github.com/waico/SKAB; published on all 34: Conv-AE 0.78, MSET 0.78, T-squared with Q 0.76, isolation forest 0.29.)
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from ..detection.blocks import Block, TrainingRows
from ..exceptions import ConfigError
from .contestants import TAIL, Contestant, contestants
from .measures import Bools, Judged
from .report import Result

TRAINING_ROWS = 400
INTERVAL_MS = 1000
NO_SENSORS = ("datetime", "anomaly", "changepoint")
CI_EVERY = 4


@dataclass(frozen=True, slots=True)
class Experiment:
    """One file: `ts` int64 (n,) ms, `values` float64 (n, S), `anomaly` bool (n,)."""

    name: str
    ts: npt.NDArray[np.int64]
    values: npt.NDArray[np.float64]
    anomaly: Bools
    sensor_names: tuple[str, ...]


def load(folder: Path) -> list[Experiment]:
    """Read every labelled experiment in a folder and in those below it, by name.

    Raises ConfigError where there is none, or where one can't be read or is too short.
    """
    found = [experiment for path in sorted(folder.rglob("*.csv")) if (experiment := _read(path, folder)) is not None]
    if not found:
        raise ConfigError(
            f"no labelled experiment of SKAB in {folder}: expected CSV files with `;` between columns, one of them"
            " `anomaly`; github.com/waico/SKAB has them in data/"
        )
    return found


def measure(folder: Path, size: Literal["ci", "medium", "full"], say: Callable[[str], None]) -> dict[str, list[Result]]:
    """Every contestant's results on the experiments, all of them or every fourth. `say` is told who is at work."""
    experiments = load(folder)
    if size == "ci":
        experiments = experiments[::CI_EVERY]
    results: dict[str, list[Result]] = {}
    for name, contestant in contestants(TAIL).items():
        say(f"{name} on {len(experiments)} experiments")
        results[name] = [judge(contestant, experiment) for experiment in experiments]
    return results


def judge(contestant: Contestant, experiment: Experiment) -> Result:
    """Fit on the first rows of an experiment, and judge the rest."""
    n_sensors = len(experiment.sensor_names)
    training = TrainingRows(
        device=np.zeros(TRAINING_ROWS, np.int64),
        ts=experiment.ts[:TRAINING_ROWS],
        values=experiment.values[:TRAINING_ROWS],
        interval_ms=INTERVAL_MS,
        sensor_names=experiment.sensor_names,
        precisions=np.full(n_sensors, np.nan),
    )
    before, after = (_block(experiment, rows) for rows in (slice(0, TRAINING_ROWS), slice(TRAINING_ROWS, None)))
    verdict = contestant.judge(training, before, after, 1)
    return Result(
        name=experiment.name,
        judged=Judged(experiment.anomaly[TRAINING_ROWS:], verdict.alarm, verdict.score, INTERVAL_MS / 60_000),
        threshold=verdict.threshold,
        seconds=verdict.seconds,
        bytes_per_device=verdict.bytes_per_device,
    )


def halves(results: Mapping[str, list[Result]]) -> dict[str, dict[str, list[Result]]]:
    """The results on every other experiment and on those between: settings were chosen on the first half."""
    return {
        "first_half": {name: each[::2] for name, each in results.items()},
        "other_half": {name: each[1::2] for name, each in results.items()},
    }


def _block(experiment: Experiment, rows: slice) -> Block:
    ts = experiment.ts[rows]
    return Block(np.zeros(len(ts), np.int32), ts, experiment.values[rows])


def _read(path: Path, folder: Path) -> Experiment | None:
    """One file, or None where it has no labels (the run without anomalies)."""
    try:
        frame = pl.read_csv(path, separator=";")
    except (pl.exceptions.PolarsError, OSError) as error:
        raise ConfigError(f"{path} can't be read as CSV with `;` between columns: {error}") from error
    if not {"datetime", "anomaly"} <= set(frame.columns):
        return None
    if len(frame) <= TRAINING_ROWS:
        raise ConfigError(f"{path} has {len(frame)} rows; expected more than the {TRAINING_ROWS} to learn from")
    names = tuple(name for name in frame.columns if name not in NO_SENSORS)
    try:
        ts = frame["datetime"].str.to_datetime().dt.epoch("ms").to_numpy()
        values = frame.select(pl.col(names).cast(pl.Float64)).to_numpy()
        anomaly = frame["anomaly"].cast(pl.Float64).to_numpy() > 0.5
    except pl.exceptions.PolarsError as error:
        raise ConfigError(f"{path}: expected times, numbers and labels of 0 and 1: {error}") from error
    return Experiment(str(path.relative_to(folder).with_suffix("")), ts, np.ascontiguousarray(values), anomaly, names)
