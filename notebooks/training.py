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
# # From readings to a model that may serve
#
# The steps of `faultwatch train`, one by one, on a small simulated fleet: what each takes, and what it leaves behind.

# %%
import subprocess
import sys
import tempfile
from pathlib import Path

import polars as pl
from faultwatch.components import (
    data_ingestion,
    data_transformation,
    data_validation,
    model_evaluation,
    model_trainer,
)
from faultwatch.components.data_ingestion import read_ingested
from faultwatch.components.model_evaluation import read_report
from faultwatch.components.workplace import Workplace
from faultwatch.settings import Settings

folder = Path(tempfile.mkdtemp(prefix="faultwatch-notebook-"))
data = folder / "data"


def faultwatch(*words: str) -> None:
    """Run a command of faultwatch, and show what it says."""
    done = subprocess.run([sys.executable, "-m", "faultwatch", *words], capture_output=True, text=True, cwd=folder)
    print(done.stdout, done.stderr)
    assert done.returncode == 0


# %% [markdown]
# ## A fleet
#
# Two days of 24 pump stations. The first day teaches the service by itself, as it would live: so there is a champion.

# %%
fleet = "--type pump_station --devices 24 --sites 4 --faults 0.1 --seed 5 --start 2026-03-02T00:00:00Z --days 2".split()
faultwatch("simulate", *fleet, "--out", "fleet")
faultwatch("types", "add", "fleet/types/pump_station.json", "--data", str(data))
faultwatch(
    "ingest", "fleet/readings/pump_station.parquet", "--owner", "Harbour", "--learn", "1440", "--data", str(data)
)

# %%
place = Workplace.open(Settings(data=data))
((type_id, name),) = place.types()
NOW_MS = 1_773_000_000_000

# %% [markdown]
# ## A snapshot, and what is kept unseen
#
# It says which readings, not what they are: the lake gives the same ones again for as long as the version lives.

# %%
made = {}
made["data_ingestion"] = data_ingestion.run(data_ingestion.IngestionConfig(), made, place, type_id, NOW_MS)
split = read_ingested(made["data_ingestion"]).split
print(made["data_ingestion"].summary, split.held_out)

# %% [markdown]
# ## Is it fit to learn from?

# %%
made["data_validation"] = data_validation.run(data_validation.ValidationConfig(), made, place, type_id, NOW_MS)
pl.DataFrame(
    [
        {"check": c.name, "of": c.subject, "verdict": c.verdict}
        for c in data_validation.read_report(made["data_validation"]).checks
    ]
).group_by("check", "verdict").len().sort("check")

# %% [markdown]
# ## Rows, then a model

# %%
made["data_transformation"] = data_transformation.run(
    data_transformation.TransformationConfig(), made, place, type_id, NOW_MS
)
made["model_trainer"] = model_trainer.run(model_trainer.TrainerConfig(), made, place, type_id, NOW_MS)
made["model_trainer"].summary

# %% [markdown]
# ## May it serve?
#
# On devices that it hasn't seen, with faults put into copies of them. The champion taught itself on all devices of the
# first day: what is compared is what neither has learnt from.

# %%
made["model_evaluation"] = model_evaluation.run(model_evaluation.EvaluationConfig(), made, place, type_id, NOW_MS)
report = read_report(made["model_evaluation"])
pl.Config.set_fmt_str_lengths(200)
print(report.verdict, report.reason)
pl.DataFrame([{"check": c.name, "passed": c.passed, "figures": c.told} for c in report.checks])

# %% [markdown]
# What is left is to have it served: `faultwatch train` does all of this, is gone on with where it was killed, and tells
# MLflow.

# %%
place.close()
