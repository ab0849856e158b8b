"""Lets a model live through the last days of every device of its type, before it serves."""

from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from sqlalchemy import select

from ...detection.detector import Detector
from ...exceptions import ModelError
from ...fleet import models
from ...fleet.database import reading
from ...fleet.model_versions import ModelVersion
from .. import warming
from ..replaying import DeviceRows, Settled, judge
from ..workplace import Workplace, site_numbers

if TYPE_CHECKING:
    from collections.abc import Iterator

DAY_MS = 86_400_000
SPOOL = "spool"


def warm_up(place: Workplace, version: ModelVersion, days: float) -> str:
    """Replay the days before the newest reading; return the name of the file with what the model then knows.

    A device with an open anomaly alert is left out where the champion's levels can move over: its level stands still
    in the alarm, and days of the fault would teach the fault. Empty where there is nothing to replay.
    """
    type_id, extent = version.type_id, place.lake.extent(version.type_id)
    if extent is None:
        return ""
    detector = Detector.load(place.models(type_id) / version.folder)
    left_out = _in_alarm(place, type_id) if _moves_over(place, type_id, detector) else set()
    parts = list(_lived(place, type_id, detector, extent[1] - round(days * DAY_MS), left_out))
    if not parts:
        return ""
    state = detector.new_state(sum(len(part.keys) for part in parts))
    first = 0
    for part in parts:
        state.put(np.arange(first, first + len(part.keys)), part.state)
        first += len(part.keys)
    return warming.write(place.data / SPOOL, warming.Lived(np.concatenate([part.keys for part in parts]), state))


def _lived(
    place: Workplace, type_id: int, detector: Detector, from_ms: int, left_out: set[int]
) -> "Iterator[warming.Lived]":
    sensors = detector.sensor_names_
    sites = site_numbers(place.placed(type_id))
    for part in place.lake.chunks(type_id, start_ms=from_ms, columns=["device_key", "timestamp", *sensors]):
        mine = part.filter(~pl.col("device_key").is_in(list(left_out))) if left_out else part
        if mine.is_empty():
            continue
        rows = DeviceRows.of(mine, sensors, sites)
        settled = Settled.new(detector, rows)
        detector.take_habits(settled.state, judge(detector, settled, rows), rows.slots)
        yield warming.Lived(rows.keys, settled.state)


def _moves_over(place: Workplace, type_id: int, detector: Detector) -> bool:
    found = place.champion(type_id)
    if found is None:
        return False
    try:
        return Detector.load(place.models(type_id) / found.folder).seasonal == detector.seasonal
    except ModelError:
        return False


def _in_alarm(place: Workplace, type_id: int) -> set[int]:
    query = (
        select(models.Alert.device_key)
        .join(models.Device, models.Device.id == models.Alert.device_key)
        .where(models.Device.type_id == type_id, models.Alert.kind == "anomaly", models.Alert.state == "firing")
    )
    with reading(place.engine) as session:
        return {key for key in session.scalars(query) if key is not None}
