"""Replaying: rows by device are judged as they would have been live, among peers."""

import numpy as np
import polars as pl

from ...components.replaying import DeviceRows, judge, settle
from ...detection.detector import Detector
from ..detection import fleet

DEVICES, MINUTES, FROM = 8, 1200, 900


def test_rows_by_device_are_judged_as_those_by_time() -> None:
    detector = Detector().fit(fleet.training(fleet.values(1, 16, 1440)))
    values = fleet.values(2, DEVICES, MINUTES, missing=0.0)
    values[FROM + 60 :, :, 3] += 6.0
    by_time = fleet.block(values)
    frame = pl.DataFrame(
        {"device_key": by_time.slots.astype(np.int64) + 100, "timestamp": pl.Series(by_time.ts).cast(pl.Datetime("ms"))}
    ).with_columns(pl.Series(name, by_time.values[:, at]) for at, name in enumerate(fleet.NAMES))
    frame = frame.sort("device_key", "timestamp")
    sites = {100 + device: 4 for device in range(6)}
    rows = DeviceRows.of(frame, fleet.NAMES, sites)
    assert rows.sites.tolist() == [4] * 6 + [-1] * 2
    before, after = rows.take(rows.ts < fleet.START + FROM * fleet.MINUTE), rows.take(
        rows.ts >= fleet.START + FROM * fleet.MINUTE
    )
    scores = judge(detector, settle(detector, before), after)

    state = detector.new_state(DEVICES)
    state.place(rows.sites)
    taught = fleet.block(values[:FROM])
    detector.take_habits(state, detector.warm(state, taught), taught.slots)
    live = detector.update(state, fleet.block(values[FROM:], FROM))
    minutes = MINUTES - FROM
    np.testing.assert_array_equal(scores.score.reshape(DEVICES, minutes).T, live.score.reshape(minutes, DEVICES))
    np.testing.assert_array_equal(scores.centre.reshape(DEVICES, minutes, 4)[:, :, 3].T.ravel(), live.centre[:, 3])
    alone = settle(detector, before).copies(np.arange(DEVICES))
    assert (alone.state.group == -1).all()
    assert judge(detector, alone, after).score.tobytes() != scores.score.tobytes()
