"""Figures of the pipelines: how the last runs went, how old a champion is, what fired training."""

import shutil
from pathlib import Path

from ...fleet import device_types, model_versions
from ...fleet.database import writing
from ...metrics import Metrics
from ...pipelines.runs import WHO, Run, Runs, StepState, Trigger, TriggerKind
from ...service.pipeline_figures import PipelineFigures
from ..components import lakeside

NOW = lakeside.NOW
HOUR = 3_600_000


def told(metrics: Metrics) -> dict[str, float]:
    """The lines of the page that are about pipelines and models."""
    lines = [line.rpartition(" ") for line in metrics.text().decode().splitlines() if not line.startswith("#")]
    names = ("faultwatch_pipeline", "faultwatch_champion", "faultwatch_triggers")
    return {name.removeprefix("faultwatch_"): float(value) for name, _, value in lines if name.startswith(names)}


def ran(runs: Runs, type_name: str, type_id: int, kind: TriggerKind, began_ms: int, states: list[StepState]) -> Run:
    """A training that was fired by a trigger of that kind; its steps ended so, a minute each."""
    trigger = Trigger(kind, WHO)
    run = runs.begin("training", ["data_ingestion", "model_trainer"], type_id, type_name, trigger, None, began_ms)
    for step, state in zip(run.steps, states, strict=True):
        step.state = state
    run.state, run.ended_ms = ("failed" if "failed" in states else "done"), began_ms + 120_000
    runs.save(run)
    return run


def test_what_runs_left_on_the_disk(tmp_path: Path) -> None:
    place, type_id = lakeside.with_readings(tmp_path / "data", 1, 1)
    runs, metrics = Runs(place.data), Metrics()
    figures = PipelineFigures(place.data, place.engine)
    figures.look(metrics, NOW)
    assert told(metrics) == {}, "nothing ran yet"
    ran(runs, "pump", type_id, "schedule", NOW - 9 * HOUR, ["done", "done"])
    ran(runs, "pump", type_id, "drift", NOW - 2 * HOUR, ["cached", "failed"])
    runs.begin("training", ["data_ingestion"], type_id, "pump", Trigger("schedule", WHO), None, NOW)
    with writing(place.engine) as session:
        version = model_versions.add(session, type_id, "abc", None, "", NOW - 5 * HOUR)
        model_versions.promote(session, version, "ann", NOW - 3 * HOUR)
    figures.look(metrics, NOW)
    training = 'pipeline="training",type="pump"'
    assert told(metrics) == {
        f"pipeline_last_run_timestamp_seconds{{{training}}}": NOW / 1000,
        f"pipeline_last_run_seconds{{{training}}}": 120.0,
        f"pipeline_last_run_ok{{{training}}}": 0.0,
        'pipeline_step_ok{pipeline="training",step="data_ingestion",type="pump"}': 1.0,
        'pipeline_step_ok{pipeline="training",step="model_trainer",type="pump"}': 0.0,
        'champion_age_seconds{type="pump"}': 3 * 3600.0,
        'triggers_fired_total{trigger="schedule",type="pump"}': 2.0,
        'triggers_fired_total{trigger="drift",type="pump"}': 1.0,
    }
    figures.look(metrics, NOW)
    assert told(metrics)['triggers_fired_total{trigger="schedule",type="pump"}'] == 2.0, "each run counts once"
    shutil.rmtree(runs.folder)
    figures.look(metrics, NOW)
    assert told(metrics) == {
        'champion_age_seconds{type="pump"}': 3 * 3600.0,
        'triggers_fired_total{trigger="schedule",type="pump"}': 2.0,
        'triggers_fired_total{trigger="drift",type="pump"}': 1.0,
    }, "a counter doesn't go down with the folder"
    place.close()


def test_types_of_several_owners_are_told_apart(tmp_path: Path) -> None:
    place, shared = lakeside.with_readings(tmp_path / "data", 1, 1)
    with writing(place.engine) as session:
        own, _ = device_types.add(session, 1, lakeside.PUMP, NOW)
    runs, metrics = Runs(place.data), Metrics()
    ran(runs, "pump", shared, "on demand", NOW - 2 * HOUR, ["done", "done"])
    ran(runs, "pump", own, "on demand", NOW - HOUR, ["done", "failed"])
    PipelineFigures(place.data, place.engine).look(metrics, NOW)
    ok = {name: value for name, value in told(metrics).items() if name.startswith("pipeline_last_run_ok")}
    assert ok == {
        f'pipeline_last_run_ok{{pipeline="training",type="pump-{shared}"}}': 1.0,
        f'pipeline_last_run_ok{{pipeline="training",type="pump-{own}"}}': 0.0,
    }
    place.close()
