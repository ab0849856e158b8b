"""The anomaly detector of one device type: fit on rows nobody labelled, then update state row by row."""

from collections.abc import Mapping
from pathlib import Path
from typing import Self

import numpy as np

from ..exceptions import ModelError
from . import kernel as at
from . import persistence
from .blocks import F32, F64, Block, Scores, TrainingRows
from .calibration import SCORE_LIMIT, knot_values, leave_level
from .config import DetectorConfig
from .expectation import Expectation, fit_expectation
from .fitting import NEVER, Calibration, Sorted, calibrate, habits_of, norm, sort_rows
from .seasons import BINS_PER_DAY
from .state import DetectorState

NO_RECORD = (0, 0, 0)
WORDS = ("new_normal", "repaired")
REACHABLE = SCORE_LIMIT - 0.5


HELD = 0.95
"""An alarm holds a device's score at this part of the level at which it began: that keeps an alert open, and doesn't
let a moment alone raise one."""


class Detector:
    """Anomaly detector for the devices of one type.

    The constructor stores parameters; `fit` learns; learnt things end in `_`: `sensor_names_` (S,), `interval_ms_`,
    `arrays_` (what the kernel reads, by name), `levels_` and `rates_` (false events per device-day at each level of
    the combined statistic), `usual_` (the level that healthy rows seldom pass). What is learnt is in
    `save`'s files, and nothing else is.
    """

    def __init__(self, config: DetectorConfig | None = None) -> None:
        self.config = config or DetectorConfig()

    def fit(self, rows: TrainingRows) -> Self:
        """Learn from rows of one type, in any order. Raises ModelError where they are too few.

        Devices must be replayed through `update` afterwards: the model holds what is common to the type, not levels.
        """
        ordered = sort_rows(rows, self.config)
        precisions = np.asarray(rows.precisions, float)
        self.sensor_names_ = tuple(rows.sensor_names)
        self.interval_ms_ = int(rows.interval_ms)

        def replay(expectation: Expectation, learn: int, judged: Sorted) -> tuple[F32, F32]:
            self._take(expectation, None, learn)
            return self._record(judged)

        found = calibrate(ordered, self.interval_ms_, precisions, self.config, replay)
        expectation = fit_expectation(ordered.device, ordered.ts, ordered.values, precisions, self.config)
        if found.few:
            expectation = expectation.without_others()
        self._take(expectation, found, found.learn)
        return self

    @property
    def n_sensors(self) -> int:
        """Sensors of the type."""
        return len(self.sensor_names_)

    @property
    def seasonal(self) -> bool:
        """Whether the model knows the season: it learnt from days, not from hours."""
        return bool(np.ptp(self.arrays_["season"][:, 0], axis=0).any())

    def new_state(self, n_devices: int) -> DetectorState:
        """State of `n_devices` that have sent nothing yet."""
        return DetectorState.new(n_devices, self.n_sensors)

    def update(self, state: DetectorState, block: Block) -> Scores:
        """Advance `state` in place by the rows of `block`, one after the other, and return what they say.

        Rows of one device must be in order of time; one that isn't newer than its device's last is not scored (NaN)
        and changes nothing. Raises ModelError where the block has another number of sensors, IndexError on slots that
        the state doesn't have.
        """
        return self._advance(state, block, np.empty(NO_RECORD, np.float32))

    def warm(self, state: DetectorState, block: Block) -> Scores:
        """Advance `state` by rows that the detector was taught with: nothing is odd in them, all of them tell a level.

        So no alarm is left behind in which a baseline would stand still, and a level is the mean of all the rows.
        Returns what `update` does, without alarms.
        """
        constants = self.arrays_["constants"].copy()
        constants[at.ENTER] = np.inf
        constants[at.SETTLE] = np.iinfo(state.seen.dtype).max
        return self._advance(state, block, np.empty(NO_RECORD, np.float32), constants)

    def take_habits(self, state: DetectorState, scores: Scores, slots: np.ndarray) -> None:
        """Let devices be as odd as they were in rows that taught: `scores` of `warm`, of the devices `slots` (n,).

        A sensor is compared with itself where its oddest rows were odder than those of the usual device of the type; by
        at most `own_limit`, since nobody has said that it was healthy then. Devices with few such rows keep what they
        have.
        """
        taught = ~scores.learning & np.isfinite(scores.score)
        levels = self._level_at(scores.score[taught].astype(np.float64))
        shares = scores.contribution[taught].astype(np.float64) ** 0.25  # of fourth powers, as the kernel makes them
        sizes = levels[:, None] * shares / np.maximum(norm(shares), 1e-12)[:, None]
        names, numbers = np.unique(slots[taught], return_inverse=True)
        enough = np.bincount(numbers, minlength=len(names)) >= self.config.own_rows
        habits = habits_of(sizes, numbers, self.arrays_["table"][:, at.TAIL].astype(np.float64), self.config)
        state.habit[names[enough]] = np.rint((habits[enough] - 1.0) * at.HABIT_STEPS)

    def threshold(self, false_alerts_per_device_day: float) -> tuple[float, float]:
        """(enter, leave) in units of score at which healthy devices give so many false events per device-day."""
        level = self._level(false_alerts_per_device_day)
        return self.score_at(level), self.score_at(self._leave(level, self.usual_))

    def pointwise_threshold(self) -> float:
        """The score that `pointwise_tail` of out-of-sample training rows are past: how benchmarks count."""
        return -float(np.log10(self.config.pointwise_tail))

    def score_at(self, level: float) -> float:
        """The score at a level of the combined statistic."""
        return float(np.interp(np.log(level), np.log(knot_values()), self.arrays_["knots"]))

    def word(self, state: DetectorState, slots: np.ndarray, word: str) -> None:
        """An operator's word on devices: `new_normal` or `repaired`; their levels may move to what comes next.

        Raises ModelError on another word.
        """
        if word not in WORDS:
            raise ModelError(f"the detector knows the words {', '.join(WORDS)}; got {word!r}")
        state.alarm[slots] = 0
        state.relearn[slots] = at.BY_WORD + self.config.word_readings
        for field in (at.FAST, at.HOUR, at.DAY, at.JUMPS, at.SLOW, at.ALARM):
            state.sensor[slots, :, field] = 0.0
        state.sensor[slots, :, at.NOISE] = 1.0
        state.run[slots] = 0

    def migrate(self, state: DetectorState, old: "Detector") -> DetectorState:
        """State for this model from the state of `old`: by sensor name; sensors that are new here learn.

        Levels keep their place in the sensor's unit: they are scaled anew, as this model scales. Where one model knows
        a season and the other doesn't, all devices learn again: their levels don't mean the same.
        """
        fresh = self.new_state(len(state))
        if self.seasonal != old.seasonal:
            return fresh
        for name in ("last", "count"):
            getattr(fresh, name)[:] = getattr(state, name)
        for here, sensor in enumerate(self.sensor_names_):
            if sensor not in old.sensor_names_:
                continue
            there = old.sensor_names_.index(sensor)
            fresh.move_sensor(here, state, there, self.arrays_["scale"][here], old.arrays_["scale"][there])
        if not np.array_equal(self.arrays_["patterns"][:2], old.arrays_["patterns"][:2]):
            fresh.sensor[:, :, at.AWAY] = 0.0  # the second mode is another now
        return fresh

    def save(self, folder: Path) -> None:
        """Write `detector.npz` and `detector.json` into `folder`, which is made where it doesn't exist."""
        persistence.save(folder, self.config, self.sensor_names_, self.interval_ms_, self._learnt())

    @classmethod
    def load(cls, folder: Path) -> "Detector":
        """Read what `save` wrote. Raises ModelError on files that are missing, damaged or of a newer format."""
        return cls._of(persistence.load(folder))

    def to_dict(self) -> dict[str, object]:
        """What `save` writes, as numbers, texts and lists."""
        return persistence.to_dict(self.config, self.sensor_names_, self.interval_ms_, self._learnt())

    @classmethod
    def from_dict(cls, learnt: Mapping[str, object]) -> "Detector":
        """The detector that `to_dict` told of. Raises ModelError where it is none, or of a newer format."""
        return cls._of(persistence.from_dict(learnt))

    @classmethod
    def _of(cls, loaded: persistence.Loaded) -> "Detector":
        config, sensor_names, interval_ms, arrays = loaded
        detector = cls(config)
        detector.sensor_names_, detector.interval_ms_ = sensor_names, interval_ms
        detector.levels_, detector.rates_ = arrays.pop("levels"), arrays.pop("rates")
        detector.usual_ = float(arrays.pop("usual")[0])
        detector.arrays_ = arrays
        return detector

    def _learnt(self) -> dict[str, np.ndarray]:
        return self.arrays_ | {"levels": self.levels_, "rates": self.rates_, "usual": np.array([self.usual_])}

    def _level_at(self, score: F64) -> F64:
        """The levels of the combined statistic at scores (n,): what `score_at` takes back."""
        result: F64 = np.exp(np.interp(score, self.arrays_["knots"], np.log(knot_values())))
        return result

    def _level(self, false_alerts_per_device_day: float) -> float:
        wanted = np.log(max(false_alerts_per_device_day, 1e-12))
        return float(np.exp(np.interp(-wanted, -np.log(self.rates_), np.log(self.levels_))))

    def _leave(self, enter: float, usual: float) -> float:
        """The level at which an alarm that began at `enter` ends: not so low that a healthy device can't get there."""
        return float(leave_level(np.array([enter]), usual, self.config.leave_ratio)[0])

    def _take(self, expectation: Expectation, found: Calibration | None, learn: int) -> None:
        """Put what was learnt into the arrays that the kernel reads; without calibration, no row is odd."""
        n_sensors = len(expectation.own)
        table = np.ones((n_sensors, at.N_SENSOR_COLUMNS))
        table[:, at.SWUNG] = expectation.swing**2
        table[:, at.PRIOR] = expectation.prior
        table[:, at.STILL] = expectation.still
        table[:, at.ALONE] = expectation.usual_width**2 * self.config.peers_prior_readings
        table[:, [at.STUCK, at.STUCK_AWAY]] = np.inf if found is None else found.stuck
        self.usual_ = 0.0 if found is None else found.usual
        self.levels_ = np.array([1.0]) if found is None else found.levels
        self.rates_ = np.array([1.0]) if found is None else found.rates
        if found is not None:
            table[:, at.CHANNELS : at.CHANNELS + at.N_CHANNELS] = found.channels
            table[:, at.TAIL] = found.tails
            table[:, at.BENDS : at.BENDS + at.N_CHANNELS] = found.bends
        enter = np.inf if found is None else self._level(self.config.false_alerts_per_device_day)
        self.arrays_: dict[str, np.ndarray] = {
            "scale": expectation.scale,
            "table": np.ascontiguousarray(table, np.float32),
            "gaps": expectation.modes.gaps,
            "patterns": np.ascontiguousarray(expectation.modes.patterns, np.float32),
            "modes": np.ascontiguousarray(expectation.moods, np.float32),
            "cross": expectation.cross,
            "white": np.ascontiguousarray(np.eye(n_sensors) if found is None else found.white, np.float32),
            "season": expectation.season,
            "knots": np.zeros(at.N_KNOTS, np.float32) if found is None else found.knots,
        }
        self.arrays_["constants"] = self._constants(expectation, learn, enter, found)

    def _constants(self, expectation: Expectation, learn: int, enter: float, found: Calibration | None) -> F64:
        config = self.config
        constants = np.zeros(at.N_CONSTANTS)
        seasonal = expectation.span_days >= config.season_days
        few = found is not None and found.few
        for place, value in {
            at.INTERVAL_MS: self.interval_ms_,
            at.LEARN: learn,
            at.HALF_FAST: config.half_lives[0],
            at.HALF_HOUR: config.half_lives[1],
            at.HALF_DAY: config.half_lives[2],
            at.HALF_NOISE: config.noise_half_life,
            at.LEVEL_GAIN: 1.0 - 0.5 ** (1.0 / config.level_half_life),
            at.SPREAD_GAIN: 0.0 if few else 1.0 - 0.5 ** (1.0 / config.spread_half_life),
            at.DRIFT: config.max_drift,
            at.RELEARN_READINGS: config.relearn_readings,
            at.RELEARN_GAIN: config.relearn_gain,
            at.RELEARN_SLOWER: config.relearn_slower,
            at.WORD_READINGS: config.word_readings,
            at.CHANGE_READINGS: config.change_readings,
            at.HALF_PEERS: config.peers_half_life,
            at.SPREAD_EARLY: 0.0 if few else 1.0,
            at.VALUE_CLIP: config.value_clip,
            at.RESIDUAL_CLIP: config.residual_clip,
            at.CROSS_CLIP: config.cross_clip,
            at.DOUBT: config.doubt,
            at.ENTER: enter,
            at.LEAVE: (
                enter * config.leave_ratio if found is None else self._leave(enter, 0.0 if found.few else found.usual)
            ),
            at.ALARM_RATIO: config.alarm_ratio,
            at.HALF_ALARM: config.alarm_half_life,
            at.JOINT_SCALE: 1.0 if found is None else found.joint_scale,
            at.SETTLE: config.settle_readings if seasonal else learn,
            at.SPREAD_PRIOR: NEVER if few else config.spread_prior_readings[0 if seasonal else 1],
            at.SPREAD_LOW: config.spread_low[0 if seasonal else 1],
            at.HALF_SLOW: config.slow_half_life,
            at.PERIOD_MS: len(expectation.season) // BINS_PER_DAY * 86_400_000,
            at.HELD_SCORE: 0.0 if found is None else self.score_at(HELD * enter),
            at.AGAIN_SCORE: 0.0 if found is None else self.score_at(enter),
        }.items():
            constants[place] = value
        return constants

    def _record(self, rows: Sorted) -> tuple[F32, F32]:
        """Replay rows as they came; channels (n, S, channels + 1) and intervals of stillness (n, S) of each."""
        order = np.lexsort((rows.device, rows.ts))
        record = np.empty((len(order), self.n_sensors, at.N_CHANNELS + 2), np.float32)
        state = self.new_state(rows.n_devices)
        state.place(rows.group[np.searchsorted(rows.device, np.arange(rows.n_devices))])
        self._advance(state, Block(rows.device[order].astype(np.int32), rows.ts[order], rows.values[order]), record)
        back = np.empty_like(order)
        back[order] = np.arange(len(order))
        record = record[back]
        return record[:, :, : at.N_CHANNELS + 1], record[:, :, at.N_CHANNELS + 1]

    def _advance(self, state: DetectorState, block: Block, record: F32, constants: F64 | None = None) -> Scores:
        n, n_sensors = block.values.shape
        if n_sensors != self.n_sensors or state.n_sensors != self.n_sensors:
            raise ModelError(
                f"rows of {n_sensors} sensors and state of {state.n_sensors} for a model of {self.n_sensors}:"
                " widen the rows, or migrate the state to this model"
            )
        if n and not 0 <= int(block.slots.min()) <= int(block.slots.max()) < len(state):
            raise IndexError(f"slots {block.slots.min()} to {block.slots.max()}: the state has {len(state)} devices")
        scores = Scores(
            score=np.empty(n, np.float32),
            alarm=np.empty(n, np.bool_),
            centre=np.empty((n, n_sensors), np.float32),
            width=np.empty((n, n_sensors), np.float32),
            contribution=np.empty((n, n_sensors), np.float32),
            way=np.empty((n, n_sensors), np.uint8),
            off=np.empty((n, n_sensors), np.float32),
            stuck=np.empty(n, np.uint64),
            learning=np.empty(n, np.bool_),
        )
        at.compiled()(
            np.require(block.slots, np.int32, ["C", "W"]),
            np.require(block.ts, np.int64, ["C", "W"]),
            np.require(block.values, np.float64, ["C", "W"]),
            *(
                self.arrays_[name]
                for name in ("scale", "table", "gaps", "patterns", "modes", "cross", "white", "season", "knots")
            ),
            self.arrays_["constants"] if constants is None else constants,
            *state.to_arrays().values(),
            scores.score,
            scores.alarm.view(np.uint8),
            scores.centre,
            scores.width,
            scores.contribution,
            scores.way,
            scores.off,
            scores.stuck,
            scores.learning.view(np.uint8),
            record,
        )
        return scores
