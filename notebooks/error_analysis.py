# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Where a model is wrong
#
# A detector learns from most devices of a simulated fleet and is tried on the others. Which faults does it miss, and who
# gives its false alerts?

# %%
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
from faultwatch.components.model_evaluation.concentration import of_the_worst
from faultwatch.components.model_evaluation.trial import Unseen, try_out
from faultwatch.components.replaying import DeviceRows
from faultwatch.components.workplace import Label
from faultwatch.detection.blocks import TrainingRows
from faultwatch.detection.detector import Detector
from faultwatch.simulator.fleet import Fleet
from faultwatch.simulator.truth import fault_reports

START, DAYS, LEARN_DAYS = datetime(2026, 3, 2, tzinfo=UTC), 4, 2
END = START + timedelta(days=DAYS)
BUDGET = 1 / 3
fleet = Fleet.plan(seed=3, devices=30, sites=3, types=["pump_station"], start=START, days=DAYS, faults=0.3)
pump = fleet.groups[0].model.type
numbers = {name: number for number, name in enumerate(fleet.groups[0].ids)}
readings = (
    fleet.readings("pump_station", START, END)
    .with_columns(device_key=pl.col("device_id").replace_strict(numbers, return_dtype=pl.Int64))
    .sort("device_key", "timestamp")
)
truth = fault_reports(fleet, END).with_columns(
    device_key=pl.col("device_id").replace_strict(numbers, return_dtype=pl.Int64)
)
truth

# %% [markdown]
# ## Learn, and try out
#
# The budget is ten times the usual one, so that a few days have something to look at.

# %%
cut = START + timedelta(days=LEARN_DAYS)
rows = DeviceRows.of(readings, pump.sensor_names, {})
cut_ms = int(cut.timestamp() * 1000)
before = rows.take((rows.ts < cut_ms) & (rows.slots < 20))
detector = Detector().fit(
    TrainingRows(
        device=before.keys[before.slots],
        ts=before.ts,
        values=before.values,
        interval_ms=pump.interval_ms,
        sensor_names=pump.sensor_names,
        precisions=np.array([np.nan if s.precision is None else s.precision for s in pump.sensors]),
    )
)
labels = [
    Label(key, int(start.timestamp() * 1000), None if end is None else int(end.timestamp() * 1000), kind)
    for key, start, end, kind in truth.select("device_key", "start", "end", "kind").iter_rows()
]
unseen = Unseen.of(rows, cut_ms, labels, pump.interval_ms, 10)
trial = try_out(detector, unseen, BUDGET)

# %% [markdown]
# ## Faults that began after it had learnt

# %%
opened = pl.DataFrame({"device_key": rows.keys[trial.opened.slot], "at": trial.opened.at_ms})
seen = [
    opened.filter(pl.col("device_key") == one.device_key, pl.col("at") >= one.start_ms)["at"].min() for one in labels
]
truth.with_columns(
    hours_to_alert=pl.Series(
        [None if at is None else (at - one.start_ms) / 3.6e6 for at, one in zip(seen, labels, strict=True)]
    )
).filter(pl.col("start") >= cut).select("device_id", "kind", "effect_spreads", "hours_to_alert")

# %% [markdown]
# ## Who gives the false alerts?
#
# A rate says how many there are, not whether one device gives them all. That makes a difference: one device is
# something to look at, all of them are a threshold to raise.

# %%
devices, part = of_the_worst(trial.false_alerts)
print(
    f"{trial.false_alerts.sum():.0f} false alerts in {unseen.device_days.sum():.0f} device-days, by {devices} of"
    f" {len(rows.keys)} devices; the worst tenth gave {part:.0%}"
)

# %%
pl.DataFrame({"device_id": fleet.groups[0].ids, "false alerts": trial.false_alerts}).sort(
    "false alerts", descending=True
).head()
