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
# # What a fleet's readings are like
#
# Ten days of thirty simulated pump stations, looked at with the functions that `python -m src.components.eda` and the
# step data_validation use. Put your own frame in place of `readings`: a column `device_key`, one `timestamp`, one for each
# sensor.

# %%
from datetime import UTC, datetime, timedelta

import matplotlib.pyplot as plt
import numpy as np
import polars as pl
from faultwatch.components.data_validation.drift import drift
from faultwatch.components.data_validation.statistics import statistics
from faultwatch.components.eda.shapes import HOURS, correlations, seasons
from faultwatch.simulator.fleet import Fleet
from faultwatch.simulator.truth import fault_reports

START, DAYS = datetime(2026, 3, 2, tzinfo=UTC), 10
END = START + timedelta(days=DAYS)
fleet = Fleet.plan(seed=11, devices=30, sites=3, types=["pump_station"], start=START, days=DAYS, faults=0.1)
pump = fleet.groups[0].model.type
numbers = {name: number for number, name in enumerate(fleet.groups[0].ids)}
readings = (
    fleet.readings("pump_station", START, END)
    .gather_every(7)  # every seventh row: enough to see shapes by, and seconds to look at
    .with_columns(device_key=pl.col("device_id").replace_strict(numbers, return_dtype=pl.Int64))
    .sort("device_key", "timestamp")
)
readings.head()

# %% [markdown]
# ## Centre and spread
#
# Medians and quantiles, since a few wild values would decide a mean.

# %%
profile = pl.DataFrame(
    [
        {"sensor": one.sensor, "values": one.values, "centre": one.centre, "spread": one.spread, **one.quantiles}
        for one in statistics(readings, pump.sensors)
    ]
)
profile

# %% [markdown]
# ## The course of a day
#
# Each device net of its own median. What has a day needs a model that knows the hour.

# %%
by_hour = seasons(readings, pump.sensor_names, pl.col("timestamp").dt.hour(), HOURS)
figure, axes = plt.subplots(2, 4, figsize=(14, 5), sharex=True, layout="constrained")
for axis, (name, season) in zip(axes.flat, by_hour.items(), strict=True):
    axis.fill_between(range(HOURS), season.low, season.high, alpha=0.3)
    axis.plot(range(HOURS), season.middle)
    axis.set_title(name)

# %% [markdown]
# ## What goes together
#
# Where sensors go together, one that leaves the others says more than any limit would.

# %%
together = correlations(readings, pump.sensor_names)
order = np.argsort(-np.abs(np.triu(together, 1)), axis=None)[:5]
pl.DataFrame(
    [
        {"one": pump.sensor_names[i], "other": pump.sensor_names[j], "rank correlation": together[i, j]}
        for i, j in zip(*np.unravel_index(order, together.shape), strict=True)
    ]
)

# %% [markdown]
# ## Drift, and why a p-value isn't enough
#
# The newest period against the four before it. Nothing was changed in this fleet, and the plain Kolmogorov-Smirnov test calls nearly
# every sensor different: with so many rows it finds the weather. `usual` is how far the earlier periods are apart among
# themselves.

# %%
found = drift(readings, pump.sensor_names, {})
pl.DataFrame(
    [
        {"sensor": one.sensor, "KS": one.statistic, "usual": one.usual, "plain p": one.plain_p, "drift": one.pooled}
        for one in found
    ]
)

# %% [markdown]
# ## What is wrong with whom
#
# Of a simulated fleet the truth is known; of a real one this is the table of fault reports.

# %%
fault_reports(fleet, END)
