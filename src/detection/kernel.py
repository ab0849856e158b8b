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

# Fields of DetectorState.sensor, per device and sensor. All but LAST are in spreads of the sensor.
LEVEL = 0  # the device's own level, less the type's centre
SPREAD = 1  # variance of the device's residual over the type's
LAST = 2  # newest value, scaled
FAST = 3  # residual smoothed at the first half-life
HOUR = 4  # ... the second
DAY = 5  # ... the third
NOISE = 6  # smoothed square of the innovation
JUMPS = 7  # what single readings jump beyond NOISE_LIMIT, smoothed at the second half-life
SLOW = 8  # deviation from level and season, smoothed: what other sensors follow late
PEERS = 9  # how the device goes with what its peers share: sum of products
ALARM = 10  # how odd the sensor has been in its alarm, smoothed; 0 without an alarm
SWING = 11  # how far the device's sensor swings within the hour, as mean square over the type's
AWAY = 12  # the device's own level in the second mode; 0 where it has never been in it
N_FIELDS = 13

# Channels: ways in which one sensor can be odd.
INNOVATION = 0  # away from its own last minutes
SMOOTH_FAST = 1
SMOOTH_HOUR = 2
SMOOTH_DAY = 3
NOISY = 4
JUMPY = 5  # single readings far off, again and again
N_CHANNELS = 6
TOGETHER = 6  # ... and the sensors together, each within its own range
NO_WAY = 7

# Columns of the table of sensors (float32).
SWUNG = 0  # the usual device's swing: mean square of deviations, less what they have been of late
TAIL = 1  # how odd the usual device's sensor is in its oddest rows
PRIOR = 2  # readings that the type's centre is worth to a new device
STILL = 3  # a change below this counts as none
STUCK = 4  # intervals of stillness past which a sensor is stuck
STUCK_AWAY = 5  # ... that switches, and is off
CHANNELS = 6  # scale of each channel: 1 is where `channel_tail` of healthy rows are past
BENDS = CHANNELS + N_CHANNELS  # power that what is past 1 is raised to: tails of all channels are equally rare then
ALONE = BENDS + N_CHANNELS  # what it weighs that a device has nothing in common with its peers, in sums of squares
N_SENSOR_COLUMNS = ALONE + 1

# What is expected of a sensor in a mode (float32).
SHIFT = 0  # off the device's level and season, or instead of them
INSTEAD = 1  # 1: instead
OWN = 2  # spread of the residual from that
CROSS = 3  # spread of the residual from the other sensors; 0 where they don't help
HOME = 4  # 1 where a device's own level, spread and swing are learnt and hold
N_MODE_COLUMNS = 5

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
CHANGE_READINGS = 28
HALF_PEERS = 29
SPREAD_EARLY = 30
AGAIN_SCORE = 31
N_CONSTANTS = 32

# The table that turns the combined statistic into a score: knots at even steps of log2.
KNOT_FIRST = -6.0
KNOT_STEP = 0.125
N_KNOTS = 160

BY_WORD = 128  # what DetectorState.relearn has on top where an operator's word let the level move
NOISE_LIMIT = 16.0  # one wild value alone doesn't make a sensor noisy
JUMP_LIMIT = 12.0  # ... nor one jump a loose contact
WINSOR = 9.0  # squares of residuals count at most three spreads towards a device's own spread
SPREAD_HIGH = 16.0  # a device's own variance is at most this multiple of its type's
SWING_PRIOR = 1440.0  # what the type's swing weighs against a device's own: a day of minutes
SWING_LOW, SWING_HIGH = 0.01, 25.0
PEERS_STEPS = 256.0  # what peers share is summed up in such parts of a spread: whole numbers add in any order
PEERS_CLIP = 1.5  # a device pulls by so many usual widths at most: one that is broken doesn't pull the rest with it
PEERS_NOISE = (
    1.0  # what is shared is believed by itself where it is past so many usual widths, all the more the further
)
PEERS_LEAST = 3  # fewer share nothing
PEERS_PRIOR = 2.0
PEERS_KEEP = 1.0 - 1.0 / 20160.0  # two weeks of minutes
VOLATILITY_CLIP = 3.0  # a device counts for so many spreads at most in how volatile its peers are
VOLATILITY_USUAL = 1.1  # where peers are on the whole so far off or less, nothing is widened
COMMOTION_CLIP = 3.0  # a device counts for so many units at most in how odd all its peers are
COMMOTION_USUAL = 0.5  # where peers are on the whole so odd or less, none counts as less odd for it
VOLATILITY_KEEP = 0.5 ** (1.0 / 30.0)  # memory of both: half an hour of minutes
HABIT_STEPS = 85.0
AWAY_PRIOR, AWAY_MOST = 30.0, 5000.0
LATE = 2  # intervals after which all peers have told
N_ROUNDS = 8  # intervals that are open at once: clocks may be five minutes ahead
STALE = 10  # intervals after which what was shared says nothing any more
UNIT_LIMIT = 1e4  # no channel counts for more, so that eighth powers stay finite
DAY_INTERVALS = 1440.0


def advance(
    slots: I32,  # slots (n,)
    ts: I64,  # ts (n,)
    values: F64,  # values (n, S)
    scale: F64,  # scale (S, 2): centre, spread
    table: F32,  # table of sensors (S, columns of layout)
    gaps: F64,  # gaps (S,): values between both sides of a sensor that switches, else NaN
    patterns: F32,  # patterns (M, S): 1 where the sensor is above its gap
    modes: F32,  # modes (M, S, columns above)
    crosses: F32,  # cross (M, S, 2 S): weights of the others, now and smoothed, 0 for the sensor itself
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
    mode: U8,  # mode
    since: U8,  # readings since it changed, at most 255
    group: I32,  # the device's group of peers (n,), -1 for none
    shared_at: I64,  # groups: interval at which what is shared was last looked at (G,)
    told_at: I64,  # interval of each round (G, N_ROUNDS)
    told_sum: I32,  # sums of what devices were off in it (G, N_ROUNDS, S)
    told_size: I32,  # sums of how far off they were, either way (G, N_ROUNDS, S)
    told_odd: I32,  # sums of how odd their sensors were, in units (G, N_ROUNDS, S)
    told_count: I32,  # of how many (G, N_ROUNDS, S)
    shared: F32,  # what a group shares, smoothed, sums of its squares, how volatile and how odd all are (G, 4, S)
    run: U16,  # intervals without a change (n, S)
    habit: U8,  # how much odder the sensor is by nature than the type's usual one, in HABIT_STEPS above 1 (n, S)
    out_score: F32,  # out: score (n,)
    out_alarm: U8,  # alarm (n,)
    out_centre: F32,  # centre (n, S)
    out_width: F32,  # width (n, S)
    out_contribution: F32,  # contribution (n, S)
    out_way: U8,  # way (n, S)
    out_off: F32,  # off (n, S)
    out_stuck: U64,  # stuck (n,)
    out_learning: U8,  # learning (n,)
    record: F32,  # record (n or 0, S, channels + 2): channels, HOUR, run (away from home below 0), for calibration
) -> None:
    """Advance the state by each row in turn and write what the detector says of it."""
    n_rows, n_sensors = values.shape
    n_bins = season.shape[0]
    n_modes = patterns.shape[0]
    recording = record.shape[0] > 0
    learn = constants[LEARN]
    residual_clip = constants[RESIDUAL_CLIP]
    keep_fast_1 = 0.5 ** (1.0 / constants[HALF_FAST])
    keep_hour_1 = 0.5 ** (1.0 / constants[HALF_HOUR])
    keep_day_1 = 0.5 ** (1.0 / constants[HALF_DAY])
    keep_slow_1 = 0.5 ** (1.0 / constants[HALF_SLOW])
    keep_noise_1 = 0.5 ** (1.0 / constants[HALF_NOISE])
    keep_peers_1 = 0.5 ** (1.0 / constants[HALF_PEERS])
    keep_alarm = 0.5 ** (1.0 / constants[HALF_ALARM])
    one_jump = (1.0 - keep_hour_1) * JUMP_LIMIT
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
    precision = np.zeros((n_sensors, n_sensors), np.float64)
    for s in range(n_sensors):
        for other in range(n_sensors):
            for k in range(max(s, other), n_sensors):
                precision[s, other] += np.float64(white[k, s]) * white[k, other]
    share = np.empty(n_sensors, np.float64)
    size = np.empty(n_sensors, np.float64)
    slow = np.empty(n_sensors, np.float64)
    typical = np.empty(n_sensors, np.float64)
    units = 1.0 / table[:, CHANNELS : CHANNELS + N_CHANNELS].astype(np.float64)
    swing = np.empty(n_sensors, np.float64)
    far = np.empty(n_sensors, np.float64)
    alone = np.empty(n_sensors, np.float64)
    widened = np.empty(n_sensors, np.float64)
    peers = np.empty(n_sensors, np.float64)
    usually = np.ones(n_sensors, np.float64)
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
                out_way[row, s] = NO_WAY
                out_off[row, s] = np.nan
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

        # 1. Scale. Sensors that switch vote on the mode.
        for s in range(n_sensors):
            raw = values[row, s]
            value[s] = np.nan
            if np.isfinite(raw):
                x = (raw - scale[s, 0]) / scale[s, 1]
                value[s] = min(max(x, -constants[VALUE_CLIP]), constants[VALUE_CLIP])
        m = 0
        if n_modes > 1:
            agreed = 0
            m = mode[i]
            for candidate in range(n_modes):
                votes = 0
                for s in range(n_sensors):
                    if not np.isnan(gaps[s]) and not np.isnan(value[s]):
                        if (value[s] > gaps[s]) == (patterns[candidate, s] > 0.5):
                            votes += 1
                if votes > agreed:
                    m, agreed = candidate, votes
            if n_seen == 0:
                since[i] = 255
            elif m != mode[i]:
                since[i] = 0
            elif since[i] < 255:
                since[i] += 1
            mode[i] = m
        steady = n_modes == 1 or since[i] >= constants[CHANGE_READINGS]
        cross = crosses[m]

        # Take off what the device's own level, the season and the mode expect.
        for s in range(n_sensors):
            x = value[s]
            usual = season[bin_0, 0, s] * (1.0 - part) + season[bin_1, 0, s] * part
            busy[s] = 1.0
            home = modes[m, s, HOME] > 0.0
            if home:
                busy[s] = season[bin_0, 1, s] * (1.0 - part) + season[bin_1, 1, s] * part
            instead = modes[m, s, INSTEAD] > 0.0
            if seen[i, s] == 0 and not np.isnan(x):
                sensor[i, s, SPREAD] = 1.0
                sensor[i, s, SWING] = 1.0
                sensor[i, s, LEVEL] = 0.0
                if home:
                    sensor[i, s, LEVEL] = (x - usual - modes[m, s, SHIFT]) / (1.0 + table[s, PRIOR])
            base[s] = modes[m, s, SHIFT]
            if not instead:
                base[s] += usual
            usual += sensor[i, s, LEVEL]
            if m == 1 and not home:
                if sensor[i, s, AWAY] == 0.0 and not np.isnan(x):
                    sensor[i, s, AWAY] = sensor[i, s, LEVEL]
                    if instead or seen[i, s] < learn:
                        sensor[i, s, AWAY] = (x - base[s]) / (1.0 + table[s, PRIOR])
                base[s] += sensor[i, s, AWAY]
            elif not instead:
                base[s] += sensor[i, s, LEVEL]
            own[s] = 0.0
            far[s] = 0.0
            swing[s] = 1.0
            if seen[i, s] > 0:
                swing[s] = np.sqrt(sensor[i, s, SWING])
            if not np.isnan(x):
                own[s] = x - base[s]
                far[s] = min(max((x - usual) / swing[s], -constants[CROSS_CLIP]), constants[CROSS_CLIP])
        # What each sensor says of the others. A missing one, or one that is new, is taken for what they say of it.
        for s in range(n_sensors):
            slow[s] = sensor[i, s, SLOW]
            word[s] = min(max(own[s] / swing[s], -constants[CROSS_CLIP]), constants[CROSS_CLIP])
            if np.isnan(value[s]) or (seen[i, s] < learn and not learning and modes[m, s, INSTEAD] == 0.0):
                word[s] = slow[s]
        for s in range(n_sensors):
            if modes[m, s, CROSS] > 0.0 and (
                np.isnan(value[s]) or (seen[i, s] < learn and not learning and modes[m, s, INSTEAD] == 0.0)
            ):
                guess = 0.0
                for other in range(n_sensors):
                    guess += cross[s, other] * word[other] + cross[s, n_sensors + other] * slow[other]
                word[s] = min(max(guess, -constants[CROSS_CLIP]), constants[CROSS_CLIP])
                far[s] = word[s]

        # What the device's peers share: known once all of them have told, and the same for all in an interval. One
        # whose clock is ahead finds nobody else's word of its intervals, and changes nothing.
        g = group[i]
        interval = ts[row] // np.int64(constants[INTERVAL_MS])
        turn = interval % N_ROUNDS
        among = False
        tells = False
        if g >= 0:
            if told_at[g, turn] < interval:
                for s in range(n_sensors):
                    told_sum[g, turn, s] = 0
                    told_size[g, turn, s] = 0
                    told_odd[g, turn, s] = 0
                    told_count[g, turn, s] = 0
                told_at[g, turn] = interval
            before = (interval - LATE) % N_ROUNDS
            most_told = 0
            if interval > shared_at[g] and told_at[g, before] == interval - LATE:
                for s in range(n_sensors):
                    most_told = max(most_told, told_count[g, before, s])
            if most_told >= PEERS_LEAST:
                passed = min(float(interval - shared_at[g]), DAY_INTERVALS)
                keep_peers, keep_volatility = keep_peers_1**passed, VOLATILITY_KEEP**passed
                for s in range(n_sensors):
                    volatility = 0.0
                    commotion = 0.0
                    told = told_count[g, before, s]
                    if told >= PEERS_LEAST:
                        mean = told_sum[g, before, s] / PEERS_STEPS / (told + PEERS_PRIOR)
                        shared[g, 0, s] += (1.0 - keep_peers) * mean
                        # Less what one device can add: its own fault must not widen what counts as normal.
                        volatility = (told_size[g, before, s] / PEERS_STEPS - VOLATILITY_CLIP) / told
                        commotion = (told_odd[g, before, s] / PEERS_STEPS - COMMOTION_CLIP) / told
                    else:
                        shared[g, 0, s] *= keep_peers
                    shared[g, 2, s] = max(shared[g, 2, s] * keep_volatility, volatility)
                    shared[g, 3, s] = max(shared[g, 3, s] * keep_volatility, commotion)
                    shared[g, 1, s] = shared[g, 1, s] * PEERS_KEEP + shared[g, 0, s] * shared[g, 0, s]
                shared_at[g] = interval
            among = interval - shared_at[g] <= STALE
            tells = told_at[g, turn] == interval and steady and not learning

        # 2. Expectation: level and season, and where they help, what the other sensors say.
        worst = -1
        for s in range(n_sensors):
            expected = 0.0
            usual = busy[s] * modes[m, s, OWN]
            if modes[m, s, CROSS] > 0.0:
                usual = busy[s] * modes[m, s, CROSS]
                for other in range(n_sensors):
                    expected += cross[s, other] * word[other] + cross[s, n_sensors + other] * slow[other]
                expected *= swing[s]
            wanders = usual
            if seen[i, s] > 0 and modes[m, s, HOME] > 0.0:
                wanders *= np.sqrt(sensor[i, s, SPREAD])
            alone[s] = own[s] - expected
            widened[s] = 1.0
            peers[s] = 0.0
            if among and modes[m, s, INSTEAD] == 0.0:
                common = shared[g, 0, s]
                gain = sensor[i, s, PEERS] / (shared[g, 1, s] + table[s, ALONE])
                doubt = PEERS_NOISE * wanders / max(abs(common), 1e-9)
                peers[s] = common * min(max(gain, 1.0 - doubt * doubt), 1.0)
                expected += peers[s]
                widened[s] = max(shared[g, 2, s] / VOLATILITY_USUAL, 1.0)
            others[s] = expected
            typical[s] = usual * widened[s]
            spread[s] = wanders * widened[s]
            odd[s] = (own[s] - expected) / spread[s]
            if not np.isnan(value[s]) and (worst < 0 or abs(odd[s]) > abs(odd[worst])):
                worst = s
        # One sensor far off drags along what is expected of the others; without its word, are they less odd?
        if worst >= 0 and abs(odd[worst]) > constants[DOUBT]:
            before = 0.0
            after = 0.0
            excess = odd[worst] * spread[worst] / swing[worst]
            for s in range(n_sensors):
                if s != worst and not np.isnan(value[s]):
                    before += min(abs(odd[s]), residual_clip)
                    after += min(abs(odd[s] + cross[s, worst] * excess * swing[s] / spread[s]), residual_clip)
            if after < before:
                for s in range(n_sensors):
                    if s != worst:
                        others[s] -= cross[s, worst] * excess * swing[s]
                        odd[s] += cross[s, worst] * excess * swing[s] / spread[s]

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
            out_way[row, s] = NO_WAY
            out_off[row, s] = np.nan
            joint[s] = 0.0
            unit[s] = 0.0
            usually[s] = 1.0
            z = odd[s]
            if np.isnan(value[s]) or not steady:
                sensor[i, s, FAST] *= keep_fast
                sensor[i, s, HOUR] *= keep_hour
                sensor[i, s, DAY] *= keep_day
                if recording:
                    record[row, s, :] = np.nan
                continue

            # 3. Smooth the residual at several half-lives; compare with the sensor's own last minutes.
            cut = min(max(z, -residual_clip), residual_clip)
            innovation = z - sensor[i, s, FAST]
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
            if seen[i, s] == 0:
                sensor[i, s, NOISE] = 1.0
            sensor[i, s, NOISE] += gain_noise * (squared - sensor[i, s, NOISE])
            jump = min(max(abs(innovation) - np.sqrt(NOISE_LIMIT), 0.0), JUMP_LIMIT)
            # In an alarm they are forgotten sooner: it would outlast a short burst by hours.
            keep_jumps = keep_noise if alarm[i] >> np.uint64(s) & np.uint64(1) else keep_hour
            sensor[i, s, JUMPS] = sensor[i, s, JUMPS] * keep_jumps + gain_hour * jump
            if seen[i, s] >= learn:
                joint[s] = sensor[i, s, HOUR]

            # 4. Stillness: a sensor that lives moves.
            moves = seen[i, s] == 0 and run[i, s] == 0
            if moves or abs(value[s] - sensor[i, s, LAST]) > table[s, STILL]:
                run[i, s] = 0
                sensor[i, s, LAST] = value[s]
            elif modes[m, s, HOME] > 0.0 or not np.isnan(gaps[s]):
                run[i, s] = min(run[i, s] + min(elapsed, 10.0), 65535.0)
            if run[i, s] > table[s, STUCK if modes[m, s, HOME] > 0.0 else STUCK_AWAY]:
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
                record[row, s, JUMPY] = sensor[i, s, JUMPS]
                record[row, s, N_CHANNELS] = joint[s]
                record[row, s, N_CHANNELS + 1] = run[i, s] if modes[m, s, HOME] > 0.0 else -1.0 * run[i, s]
            if learning or seen[i, s] >= learn or modes[m, s, INSTEAD] > 0.0:
                most = 0.0
                for channel in range(N_CHANNELS):
                    rare = units[s, channel]
                    if channel == INNOVATION:
                        rare *= channel_innovation
                    elif channel == NOISY:
                        rare *= channel_noise
                    elif channel == JUMPY:
                        rare *= sensor[i, s, JUMPS]
                    else:
                        rare *= abs(sensor[i, s, FAST + channel - SMOOTH_FAST])
                    if rare > 1.0 and table[s, BENDS + channel] < 1.0:
                        rare = rare ** table[s, BENDS + channel]
                    if rare > most:
                        most = rare
                        out_way[row, s] = channel
                if SMOOTH_FAST <= out_way[row, s] <= SMOOTH_DAY:
                    smoothed = sensor[i, s, FAST + out_way[row, s] - SMOOTH_FAST]
                    out_off[row, s] = smoothed * spread[s] * scale[s, 1]
                usually[s] = 1.0 + habit[i, s] / HABIT_STEPS
                unit[s] = min(most / wide / usually[s], UNIT_LIMIT)
                if tells and seen[i, s] >= learn and modes[m, s, INSTEAD] == 0.0:
                    reach = PEERS_CLIP * spread[s] / widened[s]
                    off = min(max(alone[s] - shared[g, 0, s], -reach), reach)
                    size_off = min(abs(z) * widened[s], VOLATILITY_CLIP)
                    told_sum[g, turn, s] += np.int32(np.rint(off * PEERS_STEPS))
                    told_size[g, turn, s] += np.int32(size_off * PEERS_STEPS + 0.5)
                    told_odd[g, turn, s] += np.int32(min(unit[s], COMMOTION_CLIP) * PEERS_STEPS + 0.5)
                    told_count[g, turn, s] += 1
                # What makes all peers odd at once, and no level tells: noisy mains, a jump of the grid's frequency.
                if among and shared[g, 3, s] > COMMOTION_USUAL:
                    unit[s] *= COMMOTION_USUAL / shared[g, 3, s]
                    usually[s] *= shared[g, 3, s] / COMMOTION_USUAL
            power = unit[s] * unit[s]
            power *= power
            total += power * power

        # 6. Whitening: are the sensors odd together, each within its own range?
        square = 0.0
        for s in range(n_sensors):
            pull = 0.0
            for other in range(n_sensors):
                pull += precision[s, other] * joint[other]
            square += pull * joint[s]
            share[s] = max(pull * joint[s], 0.0)
        distance = np.sqrt(max(square, 0.0))
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
            size[s] = power * power + together * together * share[s] / share_total
            if together * share[s] / share_total > power:
                out_way[row, s] = TOGETHER
                out_off[row, s] = sensor[i, s, HOUR] * spread[s] * scale[s, 1]
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
            if begins or alarm[i] & bit:
                size[s] = np.sqrt(np.sqrt(np.sqrt(size[s])))
            if alarm[i] & bit:
                if np.isnan(value[s]) or not steady:
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
            held_score = constants[HELD_SCORE]
            for s in range(n_sensors):
                # Single readings that jump again and again are past the level one by one: an alarm between them counts.
                jumps = sensor[i, s, JUMPS]
                usual_jumps = usually[s] / units[s, JUMPY]
                if alarm[i] >> np.uint64(s) & np.uint64(1) and jumps > max(one_jump, usual_jumps):
                    held_score = constants[AGAIN_SCORE]
            out_score[row] = max(out_score[row], held_score)
            if total == 0.0:
                # Nothing in this row was judged: what the alarm has been about still holds.
                held = 1e-30
                for s in range(n_sensors):
                    held += sensor[i, s, ALARM] ** 4
                for s in range(n_sensors):
                    out_contribution[row, s] = sensor[i, s, ALARM] ** 4 / held

        # 9. Baselines: free while learning and after an alarm, held while it lasts, else hardly moving. A level that
        # hasn't settled isn't held: an alarm may be its own doing, and would never end.
        for s in range(n_sensors):
            in_alarm = alarm[i] >> np.uint64(s) & np.uint64(1)
            if np.isnan(value[s]):
                sensor[i, s, SLOW] *= keep_slow
                continue
            quick = (far[s] - sensor[i, s, SLOW]) * swing[s]
            sensor[i, s, SLOW] = sensor[i, s, SLOW] * keep_slow + gain_slow * far[s]
            if not steady:
                continue
            if modes[m, s, HOME] == 0.0:
                if m == 1 and (alarm[i] == 0 or seen[i, s] < learn):
                    reach = 3.0 * modes[m, s, OWN]
                    bounded = min(max(own[s], -reach), reach)
                    moved = bounded / (min(n_seen, AWAY_MOST) + AWAY_PRIOR)
                    if n_seen >= constants[SETTLE]:
                        limit = constants[DRIFT] / DAY_INTERVALS * min(elapsed, DAY_INTERVALS)
                        moved = min(max(moved, -limit), limit)
                    sensor[i, s, AWAY] += moved
                continue
            variance = sensor[i, s, SPREAD]
            # About where it has been of late: a level that is off is no noise, and must not widen what counts as noise.
            away = odd[s] if seen[i, s] < learn else odd[s] - sensor[i, s, DAY]
            squared = min(away * away, WINSOR) * variance
            away = own[s]
            late = (2 * seen[i, s] < n_seen and np.isnan(gaps[s])) or (relearn[i, s] > 0 and not in_alarm)
            if late and not learning and modes[m, s, CROSS] > 0.0:
                # A level that is sought late is found by what the others say: they know how busy the device is.
                away -= others[s]
            elif relearn[i, s] > 0 and not in_alarm:
                away -= peers[s]
            bounded = min(max(away, -3.0 * modes[m, s, OWN]), 3.0 * modes[m, s, OWN])
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
                sensor[i, s, JUMPS] *= forget
            elif alarm[i] == 0 or seen[i, s] < constants[SETTLE]:
                if seen[i, s] < constants[SETTLE]:
                    moved = bounded / (seen[i, s] + 1.0)
                else:
                    limit = constants[DRIFT] / DAY_INTERVALS * min(elapsed, DAY_INTERVALS)
                    moved = min(max(bounded * weight / DAY_INTERVALS, -limit), limit)
                gain = max(
                    constants[SPREAD_GAIN], constants[SPREAD_EARLY] / (seen[i, s] - learn + constants[SPREAD_PRIOR])
                )
                sensor[i, s, SPREAD] += gain * weight * (squared - variance)
                if among:
                    reach = 4.0 * typical[s]
                    together = shared[g, 0, s] * min(max(alone[s], -reach), reach)
                    sensor[i, s, PEERS] = sensor[i, s, PEERS] * PEERS_KEEP + together
            sensor[i, s, SPREAD] = min(max(sensor[i, s, SPREAD], constants[SPREAD_LOW]), SPREAD_HIGH)
            sensor[i, s, LEVEL] += moved
            if seen[i, s] < constants[SETTLE] and not (in_alarm and not learning):
                swung = min(quick * quick / table[s, SWUNG], SWING_HIGH)
                sensor[i, s, SWING] += (swung - sensor[i, s, SWING]) / (seen[i, s] + SWING_PRIOR)
                sensor[i, s, SWING] = min(max(sensor[i, s, SWING], SWING_LOW), SWING_HIGH)
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
        float64[::1],  # gaps
        float32[:, ::1],  # patterns
        float32[:, :, ::1],  # modes
        float32[:, :, ::1],  # cross
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
        uint8[::1],  # mode
        uint8[::1],  # since
        int32[::1],  # group
        int64[::1],  # shared_at
        int64[:, ::1],  # told_at
        int32[:, :, ::1],  # told_sum
        int32[:, :, ::1],  # told_size
        int32[:, :, ::1],  # told_odd
        int32[:, :, ::1],  # told_count
        float32[:, :, ::1],  # shared
        uint16[:, ::1],  # run
        uint8[:, ::1],  # habit
        float32[::1],  # out_score
        uint8[::1],  # out_alarm
        float32[:, ::1],  # out_centre
        float32[:, ::1],  # out_width
        float32[:, ::1],  # out_contribution
        uint8[:, ::1],  # out_way
        float32[:, ::1],  # out_off
        uint64[::1],  # out_stuck
        uint8[::1],  # out_learning
        float32[:, :, ::1],  # record
    )
    return machine_code(advance, signature)
