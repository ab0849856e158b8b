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
# # From a notebook to production: one function's way
#
# `error_analysis` asked who gives a model's false alerts, and answered with a function in a cell. The gate needed the
# same answer, so the function moved to a component. This is what each step looked like; docs/explanation has the way
# commit by commit.

# %%
import numpy as np
from faultwatch.components.model_evaluation.concentration import of_the_worst
from faultwatch.components.model_evaluation.gate import GateConfig, figures, judge
from faultwatch.components.model_evaluation.trial import Unseen, try_out
from faultwatch.components.replaying import DeviceRows
from faultwatch.detection.blocks import TrainingRows
from faultwatch.detection.detector import Detector

# %% [markdown]
# ## 1. In a cell
#
# Written where the question came up, on the data at hand: enough to look at, and nobody else can use it.


# %%
def in_the_cell(alerts: np.ndarray, share: float = 0.1) -> tuple[int, float]:
    """How many devices gave any of the alerts (n_devices,), and the part that the worst `share` of all devices gave."""
    worst = np.sort(alerts)[::-1][: max(1, round(share * len(alerts)))]
    return int((alerts > 0).sum()), float(worst.sum() / max(alerts.sum(), 1))


one_device, all_devices = np.array([9.0] + [0.0] * 19), np.ones(20)
print(in_the_cell(one_device), in_the_cell(all_devices))

# %% [markdown]
# ## 2. In a component, with its edges
#
# The same lines, with types, and tests of what a notebook never meets: no alerts, no devices, fewer than ten. Before it
# is taken out of the cell, both are asked the same thing.

# %%
chance = np.random.default_rng(1)
for _ in range(200):
    alerts = chance.poisson(0.4, chance.integers(1, 60)).astype(float)
    assert of_the_worst(alerts) == in_the_cell(alerts)
assert of_the_worst(np.zeros(0)) == (0, 0.0)

# %% [markdown]
# ## 3. Where it works every day
#
# The gate says it in the check of the budget, and each run's figures have it: in the report, on the model's card and in
# MLflow. A detector of two sensors shows it. One of its devices goes to and fro by itself, as no other does.

# %%
MINUTE, DEVICES, MINUTES = 60_000, 12, 1440
day = np.sin(2 * np.pi * np.arange(2 * MINUTES) / MINUTES)
values = 20 + 3 * day[:, None, None] + chance.normal(size=(2 * MINUTES, DEVICES, 2))
values[MINUTES:, 3] += 12.0 * (np.arange(MINUTES) % 360 > 240)[:, None]
fleet = DeviceRows(
    np.arange(DEVICES),
    np.repeat(np.arange(DEVICES, dtype=np.int32), 2 * MINUTES),
    np.tile(1_773_000_000_000 + MINUTE * np.arange(2 * MINUTES), DEVICES),
    np.ascontiguousarray(values.transpose(1, 0, 2).reshape(-1, 2)),
    ("flow", "pressure"),
    np.full(DEVICES, -1),
)
half = 1_773_000_000_000 + MINUTE * MINUTES
first = fleet.take(fleet.ts < half)
unknown = np.full(2, np.nan)
detector = Detector().fit(
    TrainingRows(first.keys[first.slots], first.ts, first.values, MINUTE, list(fleet.sensors), unknown)
)
unseen = Unseen.of(fleet, half, [], MINUTE, 5)
trial = try_out(detector, unseen, 1 / 30)
budget = next(check for check in judge(trial, unseen, None, 1 / 30, 0, GateConfig()) if check.name == "budget")
print(budget.told)
assert trial.false_alerts.argmax() == 3
assert figures(trial, unseen)["devices_with_false_alerts"] == of_the_worst(trial.false_alerts)[0]
