"""Every constant of the detector, by name, with its reason."""

from dataclasses import dataclass

from ..exceptions import ConfigError

DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorConfig:
    """What a detector is told before it sees data. Lengths are in reporting intervals unless the name says else."""

    learn_readings: int = 300
    """A device is `learning` for so many of its own readings: five hours of minutes, enough for a level."""

    half_lives: tuple[float, float, float] = (10.0, 60.0, 720.0)
    """Residuals are smoothed at these: steps show at the first (5 and 20 were worse on SKAB), drifts at the last."""

    noise_half_life: float = 20.0
    """Memory of the short-term variance: a noisier sensor shows within half an hour of minutes."""

    level_half_life: float = 100.0
    """Memory of the level while a device learns (SKAB: the newest readings count most)."""

    slow_half_life: float = 30.0
    """Sensors also follow what others did over this time: heat comes late."""

    settle_readings: int = 20_160
    """A level is the mean of so many readings before the limit below holds: two weeks of minutes, so that each hour of
    the week and some weather have had their say. Five hours alone left levels off by half a spread; after three days, a
    fortnight's fall of temperature that all devices share raised alerts that never ended."""

    spread_prior_readings: tuple[float, float] = (50.0, 10.0)
    spread_low: tuple[float, float] = (0.49, 0.01)
    """What the type's variance weighs against a device's own, and the least that a device's may be of it: with a
    season, when five quiet hours must not make the rest of the day odd, and without."""

    peers_prior_readings: int = 1440
    """What it weighs that a device has nothing in common with its peers: as much as a day of readings."""

    peers_half_life: float = 5.0
    """Memory of what the devices of a site share."""

    spread_half_life: float = 2880.0
    """Memory of a device's own spread once it has learnt: two days, so that night and day both count."""

    max_drift: float = 0.02
    """A learnt level moves at most so many spreads in 1,440 intervals; a faster change is a fault, not a habit."""

    relearn_readings: int = 20
    """After an alarm has ended by itself the level moves freely for so many readings: devices often come back
    elsewhere."""

    word_readings: int = 120
    """After an operator's word (new normal, repaired) the level moves freely for so many readings, at most 127."""

    relearn_gain: float = 0.3
    relearn_slower: float = 0.5
    """How far the level moves to the first of those readings, and by how much the inverse of that grows with each."""

    value_clip: float = 1000.0
    """Scaled values are cut here, so that a wild number can't overflow float32."""

    residual_clip: float = 12.0
    """Residuals are cut here before smoothing: one wild value must not blind the minutes after it."""

    cross_clip: float = 30.0
    """How far out a sensor may be and still speak for others: modes (off, defrost) are far out together."""

    doubt: float = 5.0
    """Past so many spreads, a sensor's word on the others is left out if they are less odd without it."""

    leave_ratio: float = 0.5
    """An alarm ends below this part of the level at which it began, or where healthy rows usually are. SKAB's F1 was
    .74 without hysteresis, .86 with it."""

    alarm_ratio: float = 0.2
    """... or, sensor by sensor, below this part of how odd it has been in the alarm: a fault that ends leaves a device
    suddenly less odd, and seldom where it was before."""

    alarm_half_life: float = 60.0
    """Memory of how odd a sensor has been in an alarm; the peak of a short burst doesn't count as its usual."""

    false_alerts_per_device_day: float = 1 / 30
    """The budget that the detector's own alarm bit keeps: one false event per device and month."""

    pointwise_tail: float = 1e-3
    """The point-wise threshold, as benchmarks count: this tail of out-of-sample training rows."""

    season_harmonics: int = 6
    """Harmonics of the day: enough for the bell of a sunny day."""

    week_harmonics: int = 6
    """Harmonics of the week, besides; learnt from two weeks on."""

    season_days: float = 1.5
    """From so many days on a season is learnt; a shorter stretch can't tell a season from a drift."""

    week_days: float = 13.5
    """From so many days on the week is learnt too."""

    change_readings: int = 5
    """Readings after a change of mode that aren't judged: what is warm stays warm for a while."""

    ridge: float = 0.02
    """Ridge of the cross-sensor regression, in units of a sensor's variance."""

    cross_gain: float = 0.9
    """The other sensors are listened to only where they cut the residual below this part, out of sample."""

    shrinkage: float = 0.2
    """Weight of the diagonal in the covariance used for whitening."""

    channel_tail: float = 5e-3
    """A channel (sensor and horizon) is scaled so that this part of healthy rows is past 1."""

    wander_scale: float = 1.5
    wander_power: float = 2.0
    """Where training is shorter than a season, the smoothed residual of a sensor that wanders is scaled down by
    (scale * wander) ** power: one power for what was seen of it, one for what a longer stretch would have shown. Chosen
    with the labels of 17 of SKAB's files; there powers of 1, 1.5, 2 and 2.5 give F1 of .82, .85, .87 and .86."""

    wander_limit: float = 3.5
    """A sensor that wanders further is not judged by its level until days of it are known."""

    own_tail: float = 1e-3
    own_rows: int = 1000
    own_limit: float = 4.0
    """A device is compared with its type's usual one at this tail of the rows that taught, of which it must have so
    many: a display whose defrosts last longer than others' is no fault. It may be so much odder by nature, and no more,
    since nobody has said that it was healthy then."""

    max_rows: int = 600_000
    """Training reads at most so many rows of a type, by leaving out whole devices at even distances."""

    stuck_floor: float = 30.0
    """No sensor is called stuck before it has been still for so long."""

    stuck_factor: float = 3.0
    """... and for so many times the longest stillness seen in training."""

    def __post_init__(self) -> None:
        if not 0 < self.half_lives[0] < self.half_lives[1] < self.half_lives[2]:
            raise ConfigError(f"half_lives {self.half_lives}: expected three rising numbers of intervals")
        if not (1 <= self.relearn_readings <= 127 and 1 <= self.word_readings <= 127):
            raise ConfigError(
                f"relearn_readings {self.relearn_readings}, word_readings {self.word_readings}: expected 1 to 127"
            )
        if self.learn_readings < 10:
            raise ConfigError(f"learn_readings {self.learn_readings}: expected 10 or more")
        if self.false_alerts_per_device_day <= 0:
            raise ConfigError(
                f"false_alerts_per_device_day {self.false_alerts_per_device_day}: expected a number above 0"
            )
