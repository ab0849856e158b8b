"""The compiled loop over rows: state in, scores out, one row after the other.

Row by row and without fast-math on purpose: what a row gives depends on its device's state, the row and the model
alone, so batches of any size give the same bytes. Formulas are in docs/explanation/detection.md. The places of numbers
in the arrays stand here too: Numba's cache looks at this file only, and must notice when they change.
"""

from collections.abc import Callable
from functools import cache

import numpy as np

from ..compiled import compiled as machine_code
from .blocks import F32, F64, I32, I64, U8, U16, U64

# Fields of DetectorState.sensor, per device and sensor. All but LAST and RUN are in spreads of the sensor.
LEVEL = 0  # the device's own level, less the type's centre
SPREAD = 1  # variance of the device's residual over the type's
LAST = 2  # newest value, scaled
FAST = 3  # residual smoothed at the first half-life
HOUR = 4  # ... the second
DAY = 5  # ... the third
NOISE = 6  # smoothed square of the innovation
JOINT = 7  # cross-sensor residual smoothed at the second half-life, for whitening
RUN = 8  # intervals without a change
SLOW = 9  # deviation from level and season, smoothed: what other sensors follow late
GAIN_XY = 10  # device's own gain on what the others say: sum of products
GAIN_XX = 11  # ... and of squares
ALARM = 12  # how odd the sensor has been in its alarm, smoothed; 0 without an alarm
N_FIELDS = 13

# Channels: ways in which one sensor can be odd.
INNOVATION = 0  # away from its own last minutes
SMOOTH_FAST = 1
SMOOTH_HOUR = 2
SMOOTH_DAY = 3
NOISY = 4
N_CHANNELS = 5

# Columns of the table of sensors (float32).
OWN = 0  # spread of the residual from the device's own level and season
CROSS = 1  # spread of the residual from the other sensors; 0 where they don't help
STEP = 2  # spread of the innovation, in spreads of the residual
PRIOR = 3  # readings that the type's centre is worth to a new device
STILL = 4  # a change below this counts as none
STUCK = 5  # intervals of stillness past which a sensor is stuck
CHANNELS = 6  # scale of each channel: 1 is where `channel_tail` of healthy rows are past
PULL = CHANNELS + N_CHANNELS  # what the type's gain of 1 weighs, in sums of squares
N_SENSOR_COLUMNS = PULL + 1

# Constants of the kernel (float64).
INTERVAL_MS = 0
LEARN = 1
HALF_FAST = 2
HALF_HOUR = 3
HALF_DAY = 4
HALF_NOISE = 5
LEVEL_GAIN = 6
SPREAD_GAIN = 7
DRIFT = 8
RELEARN_READINGS = 9
RELEARN_GAIN = 10
VALUE_CLIP = 11
RESIDUAL_CLIP = 12
CROSS_CLIP = 13
DOUBT = 14
ENTER = 15
LEAVE = 16
ALARM_RATIO = 17
HALF_ALARM = 18
JOINT_SCALE = 19
PERIOD_MS = 20
SETTLE = 21
HALF_SLOW = 22
SPREAD_PRIOR = 23
SPREAD_LOW = 24
HELD_SCORE = 25
RELEARN_SLOWER = 26
WORD_READINGS = 27
N_CONSTANTS = 28

# The table that turns the combined statistic into a score: knots at even steps of log2.
KNOT_FIRST = -6.0
KNOT_STEP = 0.125
N_KNOTS = 160

BY_WORD = 128  # what DetectorState.relearn has on top where an operator's word let the level move
NOISE_LIMIT = 16.0  # one wild value alone doesn't make a sensor noisy
WINSOR = 9.0  # squares of residuals count at most three spreads towards a device's own spread
SPREAD_HIGH = 16.0  # a device's own variance is at most this multiple of its type's
UNIT_LIMIT = 1e4  # no channel counts for more, so that eighth powers stay finite
DAY_INTERVALS = 1440.0


def advance(
    slots: I32,  # slots (n,)
    ts: I64,  # ts (n,)
    values: F64,  # values (n, S)
    scale: F64,  # scale (S, 2): centre, spread
    table: F32,  # table of sensors (S, columns of layout)
    cross: F32,  # cross (S, 2 S): weights of the others, now and smoothed, 0 for the sensor itself
    white: F32,  # white (S, S): inverse Cholesky factor, lower triangle
    season: F32,  # season (bins, 2, S): expected level, relative spread
    knots: F32,  # score at the knots
    constants: F64,  # constants
    sensor: F32,  # state: sensor
    seen: U16,  # seen
    last: I64,  # last
    count: I32,  # count
    alarm: U64,  # alarm
    relearn: U8,  # relearn
    out_score: F32,  # out: score (n,)
    out_alarm: U8,  # alarm (n,)
    out_centre: F32,  # centre (n, S)
    out_width: F32,  # width (n, S)
    out_contribution: F32,  # contribution (n, S)
    out_stuck: U64,  # stuck (n,)
    out_learning: U8,  # learning (n,)
    record: F32,  # record (n or 0, S, channels + 2): channels, JOINT, RUN, for calibration
) -> None:
    """Advance the state by each row in turn and write what the detector says of it."""
    n_rows, n_sensors = values.shape
    n_bins = season.shape[0]
    recording = record.shape[0] > 0
    learn = constants[LEARN]
    residual_clip = constants[RESIDUAL_CLIP]
    keep_fast_1 = 0.5 ** (1.0 / constants[HALF_FAST])
    keep_hour_1 = 0.5 ** (1.0 / constants[HALF_HOUR])
    keep_day_1 = 0.5 ** (1.0 / constants[HALF_DAY])
    keep_slow_1 = 0.5 ** (1.0 / constants[HALF_SLOW])
    keep_noise_1 = 0.5 ** (1.0 / constants[HALF_NOISE])
    keep_alarm = 0.5 ** (1.0 / constants[HALF_ALARM])
    value = np.empty(n_sensors, np.float64)
    own = np.empty(n_sensors, np.float64)
    base = np.empty(n_sensors, np.float64)
    busy = np.empty(n_sensors, np.float64)
    word = np.empty(n_sensors, np.float64)
    others = np.empty(n_sensors, np.float64)
    spread = np.empty(n_sensors, np.float64)
    odd = np.empty(n_sensors, np.float64)
    unit = np.empty(n_sensors, np.float64)
    joint = np.empty(n_sensors, np.float64)
    whitened = np.empty(n_sensors, np.float64)
    share = np.empty(n_sensors, np.float64)
    size = np.empty(n_sensors, np.float64)
    for row in range(n_rows):
        i = slots[row]
        n_seen = count[i]
        if n_seen > 0 and ts[row] <= last[i]:
            out_score[row] = np.nan
            out_alarm[row] = alarm[i] != 0
            out_stuck[row] = np.uint64(0)
            out_learning[row] = n_seen < learn
            for s in range(n_sensors):
                out_centre[row, s] = np.nan
                out_width[row, s] = np.nan
                out_contribution[row, s] = 0.0
            continue
        elapsed = 1.0
        if n_seen > 0:
            elapsed = (ts[row] - last[i]) / constants[INTERVAL_MS]
        keep_fast, keep_hour, keep_day = keep_fast_1, keep_hour_1, keep_day_1
        keep_noise, keep_slow = keep_noise_1, keep_slow_1
        if elapsed != 1.0:
            keep_fast, keep_hour = keep_fast_1**elapsed, keep_hour_1**elapsed
            keep_day, keep_noise = keep_day_1**elapsed, keep_noise_1**elapsed
            keep_slow = keep_slow_1**elapsed
        # A gap makes memories fade, but a single row after it never counts for more than a row.
        weight = min(elapsed, 1.0)
        gain_fast, gain_hour, gain_day = 1.0 - keep_fast_1, 1.0 - keep_hour_1, 1.0 - keep_day_1
        gain_noise, gain_slow = 1.0 - keep_noise_1, 1.0 - keep_slow_1
        if elapsed < 1.0:
            gain_fast, gain_hour, gain_day = 1.0 - keep_fast, 1.0 - keep_hour, 1.0 - keep_day
            gain_noise, gain_slow = 1.0 - keep_noise, 1.0 - keep_slow
        learning = n_seen < learn

        where = (ts[row] % np.int64(constants[PERIOD_MS])) / constants[PERIOD_MS] * n_bins
        bin_0 = min(int(where), n_bins - 1)
        bin_1 = bin_0 + 1
        if bin_1 == n_bins:
            bin_1 = 0
        part = where - bin_0

        # 1. Scale, and take off what the device's own level and the season expect.
        for s in range(n_sensors):
            raw = values[row, s]
            base[s] = sensor[i, s, LEVEL] + season[bin_0, 0, s] * (1.0 - part) + season[bin_1, 0, s] * part
            busy[s] = season[bin_0, 1, s] * (1.0 - part) + season[bin_1, 1, s] * part
            if np.isfinite(raw):
                x = (raw - scale[s, 0]) / scale[s, 1]
                x = min(max(x, -constants[VALUE_CLIP]), constants[VALUE_CLIP])
                value[s] = x
                if seen[i, s] == 0:
                    base[s] -= sensor[i, s, LEVEL]
                    sensor[i, s, LEVEL] = (x - base[s]) / (1.0 + table[s, PRIOR])
                    base[s] += sensor[i, s, LEVEL]
                    sensor[i, s, SPREAD] = 1.0
                own[s] = x - base[s]
            else:
                value[s] = np.nan
                own[s] = 0.0
        # What each sensor says of the others. A missing one, or one that is new, is taken for what they say of it.
        for s in range(n_sensors):
            word[s] = min(max(own[s], -constants[CROSS_CLIP]), constants[CROSS_CLIP])
            if np.isnan(value[s]) or (seen[i, s] < learn and not learning):
                word[s] = sensor[i, s, SLOW]
        for s in range(n_sensors):
            if table[s, CROSS] > 0.0 and (np.isnan(value[s]) or (seen[i, s] < learn and not learning)):
                guess = 0.0
                for other in range(n_sensors):
                    guess += cross[s, other] * word[other] + cross[s, n_sensors + other] * sensor[i, other, SLOW]
                word[s] = guess

        # 2. Expectation: level and season, and where they help, what the other sensors say.
        worst = -1
        for s in range(n_sensors):
            others[s] = 0.0
            spread[s] = busy[s]
            if seen[i, s] > 0:
                spread[s] *= np.sqrt(sensor[i, s, SPREAD])
            if table[s, CROSS] > 0.0:
                spread[s] *= table[s, CROSS]
                for other in range(n_sensors):
                    others[s] += cross[s, other] * word[other] + cross[s, n_sensors + other] * sensor[i, other, SLOW]
                others[s] *= (sensor[i, s, GAIN_XY] + table[s, PULL]) / (sensor[i, s, GAIN_XX] + table[s, PULL])
            else:
                spread[s] *= table[s, OWN]
            odd[s] = (own[s] - others[s]) / spread[s]
            if not np.isnan(value[s]) and (worst < 0 or abs(odd[s]) > abs(odd[worst])):
                worst = s
        # One sensor far off drags along what is expected of the others; without its word, are they less odd?
        if worst >= 0 and abs(odd[worst]) > constants[DOUBT]:
            before = 0.0
            after = 0.0
            excess = odd[worst] * spread[worst]
            for s in range(n_sensors):
                if s != worst and not np.isnan(value[s]):
                    before += min(abs(odd[s]), residual_clip)
                    after += min(abs(odd[s] + cross[s, worst] * excess / spread[s]), residual_clip)
            if after < before:
                for s in range(n_sensors):
                    if s != worst:
                        others[s] -= cross[s, worst] * excess
                        odd[s] += cross[s, worst] * excess / spread[s]

        # Levels that are still uncertain, the device's or that of a new sensor: wide rather than wrong.
        known = 1.0
        for s in range(n_sensors):
            if not np.isnan(value[s]):
                known = min(known, seen[i, s] / learn)
        if learning:
            known = min(known, n_seen / learn)
        wide = 1.0 + 2.0 * np.sqrt(1.0 - known)
        stuck = np.uint64(0)
        total = 0.0
        for s in range(n_sensors):
            out_centre[row, s] = (base[s] + others[s]) * scale[s, 1] + scale[s, 0]
            out_width[row, s] = 3.0 * spread[s] * scale[s, 1]
            joint[s] = 0.0
            unit[s] = 0.0
            z = odd[s]
            if np.isnan(value[s]):
                sensor[i, s, FAST] *= keep_fast
                sensor[i, s, HOUR] *= keep_hour
                sensor[i, s, DAY] *= keep_day
                sensor[i, s, JOINT] *= keep_hour
                if recording:
                    record[row, s, :] = np.nan
                continue

            # 3. Smooth the residual at several half-lives; compare with the sensor's own last minutes.
            cut = min(max(z, -residual_clip), residual_clip)
            innovation = (z - sensor[i, s, FAST]) / table[s, STEP]
            squared = min(innovation * innovation, NOISE_LIMIT)
            if alarm[i] >> np.uint64(s) & np.uint64(1) and elapsed > 1.0:
                # A gap in the middle of an alarm is no reason to end it.
                sensor[i, s, FAST] = sensor[i, s, FAST] * keep_fast_1 + gain_fast * cut
                sensor[i, s, HOUR] = sensor[i, s, HOUR] * keep_hour_1 + gain_hour * cut
                sensor[i, s, DAY] = sensor[i, s, DAY] * keep_day_1 + gain_day * cut
            else:
                sensor[i, s, FAST] = sensor[i, s, FAST] * keep_fast + gain_fast * cut
                sensor[i, s, HOUR] = sensor[i, s, HOUR] * keep_hour + gain_hour * cut
                sensor[i, s, DAY] = sensor[i, s, DAY] * keep_day + gain_day * cut
            sensor[i, s, JOINT] = sensor[i, s, HOUR]
            if seen[i, s] == 0:
                sensor[i, s, NOISE] = 1.0
            sensor[i, s, NOISE] += gain_noise * (squared - sensor[i, s, NOISE])
            if seen[i, s] >= learn:
                joint[s] = sensor[i, s, JOINT]

            # 4. Stillness: a sensor that lives moves.
            if seen[i, s] > 0 and abs(value[s] - sensor[i, s, LAST]) <= table[s, STILL]:
                sensor[i, s, RUN] += min(elapsed, 10.0)
            else:
                sensor[i, s, RUN] = 0.0
                sensor[i, s, LAST] = value[s]
            if sensor[i, s, RUN] > table[s, STUCK]:
                stuck |= np.uint64(1) << np.uint64(s)

            # 5. Each channel in units of what is rare on healthy rows; a sensor that is new counts for nothing yet.
            channel_innovation = abs(innovation)
            channel_noise = max(np.sqrt(sensor[i, s, NOISE]) - 1.0, 0.0)
            if recording:
                record[row, s, INNOVATION] = channel_innovation
                record[row, s, SMOOTH_FAST] = abs(sensor[i, s, FAST])
                record[row, s, SMOOTH_HOUR] = abs(sensor[i, s, HOUR])
                record[row, s, SMOOTH_DAY] = abs(sensor[i, s, DAY])
                record[row, s, NOISY] = channel_noise
                record[row, s, N_CHANNELS] = joint[s]
                record[row, s, N_CHANNELS + 1] = sensor[i, s, RUN]
            if learning or seen[i, s] >= learn:
                most = channel_innovation / table[s, CHANNELS + INNOVATION]
                most = max(most, abs(sensor[i, s, FAST]) / table[s, CHANNELS + SMOOTH_FAST])
                most = max(most, abs(sensor[i, s, HOUR]) / table[s, CHANNELS + SMOOTH_HOUR])
                most = max(most, abs(sensor[i, s, DAY]) / table[s, CHANNELS + SMOOTH_DAY])
                most = max(most, channel_noise / table[s, CHANNELS + NOISY])
                unit[s] = min(most / wide, UNIT_LIMIT)
            power = unit[s] * unit[s]
            power *= power
            total += power * power

        # 6. Whitening: are the sensors odd together, each within its own range?
        square = 0.0
        for s in range(n_sensors):
            whitened[s] = 0.0
            for other in range(s + 1):
                whitened[s] += white[s, other] * joint[other]
            square += whitened[s] * whitened[s]
        for s in range(n_sensors):
            share[s] = 0.0
            for other in range(s, n_sensors):
                share[s] += white[other, s] * whitened[other]
            share[s] = max(share[s] * joint[s], 0.0)
        distance = np.sqrt(square)
        together = 0.0
        if not learning:
            together = min(distance / constants[JOINT_SCALE] / wide, UNIT_LIMIT)
            power = together * together
            power *= power
            total += power * power

        # 7. One number, close to the largest of all, and the score at that number.
        combined = np.sqrt(np.sqrt(np.sqrt(total)))
        place = 0.0
        if combined > 0.0:
            place = (np.log2(combined) - KNOT_FIRST) / KNOT_STEP
        place = min(max(place, 0.0), N_KNOTS - 1.001)
        knot = int(place)
        out_score[row] = knots[knot] + (knots[knot + 1] - knots[knot]) * (place - knot)
        together *= together
        together *= together
        all_shares = 1e-30
        share_total = 1e-30
        for s in range(n_sensors):
            share_total += share[s]
        for s in range(n_sensors):
            power = unit[s] * unit[s]
            power *= power
            size[s] = np.sqrt(np.sqrt(np.sqrt(power * power + together * together * share[s] / share_total)))
            share[s] = power + together * share[s] / share_total
            all_shares += share[s]
        oddest = 0
        for s in range(n_sensors):
            out_contribution[row, s] = share[s] / all_shares
            if size[s] > size[oddest]:
                oddest = s
        out_stuck[row] = stuck
        out_learning[row] = learning

        # 8. The detector's own alarm: each sensor enters and leaves it for itself, and while one is in, it lasts. A
        # sensor leaves where it is no longer odd, or suddenly less odd than it has been: faults often end elsewhere.
        begins = combined >= constants[ENTER] and not learning
        for s in range(n_sensors):
            bit = np.uint64(1) << np.uint64(s)
            if alarm[i] & bit:
                if np.isnan(value[s]):
                    size[s] = sensor[i, s, ALARM] * keep_alarm
                elif relearn[i, s] < constants[RELEARN_READINGS]:
                    relearn[i, s] += 1
                if size[s] < max(constants[LEAVE], constants[ALARM_RATIO] * sensor[i, s, ALARM]):
                    alarm[i] &= ~bit
                    sensor[i, s, ALARM] = 0.0
                else:
                    sensor[i, s, ALARM] = sensor[i, s, ALARM] * keep_alarm + (1.0 - keep_alarm) * size[s]
            elif begins and relearn[i, s] <= constants[RELEARN_READINGS]:
                if size[s] >= constants[ENTER] or s == oddest:
                    alarm[i] |= bit
                    sensor[i, s, ALARM] = size[s]
                    relearn[i, s] = 0
        out_alarm[row] = alarm[i] != 0
        if alarm[i] != 0:
            out_score[row] = max(out_score[row], constants[HELD_SCORE])

        # 9. Baselines: free while learning and after an alarm, held while it lasts, else hardly moving. A level that
        # hasn't settled isn't held: an alarm may be its own doing, and would never end.
        for s in range(n_sensors):
            in_alarm = alarm[i] >> np.uint64(s) & np.uint64(1)
            if np.isnan(value[s]):
                sensor[i, s, SLOW] *= keep_slow
                continue
            variance = sensor[i, s, SPREAD]
            typical = spread[s] / np.sqrt(variance)
            # About where it has been of late: a level that is off is no noise, and must not widen what counts as noise.
            away = odd[s] if seen[i, s] < learn else odd[s] - sensor[i, s, DAY]
            squared = min(away * away, WINSOR) * variance
            away = own[s]
            late = 2 * seen[i, s] < n_seen or (relearn[i, s] > 0 and not in_alarm)
            if late and not learning and table[s, CROSS] > 0.0:
                # A level that is sought late is found by what the others say: they know how busy the device is.
                away -= others[s]
            bounded = min(max(away, -3.0 * table[s, OWN]), 3.0 * table[s, OWN])
            moved = 0.0
            if seen[i, s] < learn:
                gain = 1.0 / (seen[i, s] + 1.0 + table[s, PRIOR])
                if learning:
                    gain = max(gain, constants[LEVEL_GAIN])
                moved = gain * away
                sensor[i, s, SPREAD] += (squared - variance) / (seen[i, s] + constants[SPREAD_PRIOR])
            elif relearn[i, s] > 0 and not in_alarm:
                # In large steps first, then in smaller ones, so that it comes to rest at a mean of several readings.
                so_far = constants[RELEARN_READINGS] - relearn[i, s]
                relearn[i, s] -= 1
                if relearn[i, s] >= BY_WORD:
                    so_far = constants[WORD_READINGS] - (relearn[i, s] - BY_WORD)
                    if relearn[i, s] == BY_WORD:
                        relearn[i, s] = 0
                relearn_gain = 1.0 / (1.0 / constants[RELEARN_GAIN] + constants[RELEARN_SLOWER] * so_far)
                moved = relearn_gain * away
                # What was smoothed was seen from the old level, and would go on alarming.
                forget = 1.0 - relearn_gain
                sensor[i, s, NOISE] = 1.0 + forget * (sensor[i, s, NOISE] - 1.0)
                sensor[i, s, SLOW] *= forget
                sensor[i, s, FAST] *= forget
                sensor[i, s, HOUR] *= forget
                sensor[i, s, DAY] *= forget
                sensor[i, s, JOINT] *= forget
            elif alarm[i] == 0 or seen[i, s] < constants[SETTLE]:
                if seen[i, s] < constants[SETTLE]:
                    moved = bounded / (seen[i, s] + 1.0)
                    if table[s, CROSS] > 0.0:
                        told = others[s]
                        sensor[i, s, GAIN_XY] += told * min(max(own[s], told - 3.0 * typical), told + 3.0 * typical)
                        sensor[i, s, GAIN_XX] += told * told
                else:
                    limit = constants[DRIFT] / DAY_INTERVALS * min(elapsed, DAY_INTERVALS)
                    moved = min(max(bounded * weight / DAY_INTERVALS, -limit), limit)
                sensor[i, s, SPREAD] += constants[SPREAD_GAIN] * weight * (squared - variance)
            sensor[i, s, SPREAD] = min(max(sensor[i, s, SPREAD], constants[SPREAD_LOW]), SPREAD_HIGH)
            sensor[i, s, SLOW] = sensor[i, s, SLOW] * keep_slow + gain_slow * word[s]
            sensor[i, s, LEVEL] += moved
            if seen[i, s] < 65535:
                seen[i, s] += 1
        last[i] = ts[row]
        count[i] = n_seen + 1


@cache
def compiled() -> Callable[..., None]:
    """The machine code of `advance`, from Numba's cache after the first use on a machine.

    Numba is imported here, and the signature is fixed, so that nothing is compiled at import and only this is later.
    """
    from numba import float32, float64, int32, int64, uint8, uint16, uint64, void

    signature = void(
        int32[::1],  # slots
        int64[::1],  # ts
        float64[:, ::1],  # values
        float64[:, ::1],  # scale
        float32[:, ::1],  # table
        float32[:, ::1],  # cross
        float32[:, ::1],  # white
        float32[:, :, ::1],  # season
        float32[::1],  # knots
        float64[::1],  # constants
        float32[:, :, ::1],  # sensor
        uint16[:, ::1],  # seen
        int64[::1],  # last
        int32[::1],  # count
        uint64[::1],  # alarm
        uint8[:, ::1],  # relearn
        float32[::1],  # out_score
        uint8[::1],  # out_alarm
        float32[:, ::1],  # out_centre
        float32[:, ::1],  # out_width
        float32[:, ::1],  # out_contribution
        uint64[::1],  # out_stuck
        uint8[::1],  # out_learning
        float32[:, :, ::1],  # record
    )
    return machine_code(advance, signature)
