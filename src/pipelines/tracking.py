"""MLflow on SQLite: every run with what it was made of, and the versions of models with their aliases.

The fleet database says which model serves, and `runs/` how each run went; MLflow is told of both, and can be made anew
from them. It is imported here and nowhere else, and only once something is to be told: that takes seconds.
"""

import logging
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from ..components.artifact import Artifact
from ..components.data_ingestion import read_ingested
from ..components.model_evaluation import read_report
from ..components.workplace import EVERY_TYPE, FAULT_KINDS, Workplace
from ..exceptions import StorageError
from ..fleet import kind_versions, model_versions
from ..fleet.database import reading
from .runs import Run, Runs

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

log = structlog.get_logger(__name__)

FOLDER = "mlflow"
DATABASE = "mlflow.db"
STATUS = {"done": "FINISHED", "stopped": "FINISHED", "failed": "FAILED", "running": "RUNNING"}
RUN_TAG = "faultwatch.run"
MOST_TAG = 4_000
"""MLflow cuts a tag at 5,000 characters."""


@dataclass(frozen=True, slots=True)
class _MadeBy:
    """The pipeline that makes a kind of model, and the step that leaves its card."""

    pipeline: str
    judged_in: str


_DETECTORS = _MadeBy("training", "model_evaluation")
_KINDS = _MadeBy("faults", "fault_evaluation")


@dataclass(frozen=True, slots=True)
class _Entry:
    """A version as MLflow is told of it: `source` is its folder, `role` its alias, if it has one."""

    version: int
    source: str
    role: str
    run: str | None
    note: str


class Tracking:
    """Tells MLflow of runs and versions of one data folder."""

    def __init__(self, place: Workplace, client: "MlflowClient") -> None:
        self._place = place
        self._client = client

    def record(self, run: Run, made: Mapping[str, Artifact]) -> None:
        """Tell of a run that is over; one that was told of already is left as it is."""
        experiment = self._experiment(run.pipeline)
        if self._known(experiment, run.id) is not None:
            return
        from mlflow.entities import Metric, Param, RunTag

        told = self._client.create_run(
            experiment, start_time=run.started_ms, tags={RUN_TAG: run.id}, run_name=run.id
        ).info.run_id
        ended = run.ended_ms or run.started_ms
        self._client.log_batch(
            told,
            metrics=[Metric(name, value, ended, 0) for name, value in _metrics(run, made).items()],
            params=[Param(name, value) for name, value in _params(made).items()],
            tags=[RunTag(name, value[:MOST_TAG]) for name, value in _tags(run, made).items() if value],
        )
        self._client.log_artifact(told, str(Runs(self._place.data).folder / run.id / "run.json"))
        for name, artifact in made.items():
            for path in sorted(artifact.path.iterdir()):
                if path.suffix in (".json", ".md", ".html"):
                    self._client.log_artifact(told, str(path), name)
        self._client.set_terminated(told, STATUS[run.state], ended)

    def mirror(self, type_id: int) -> None:
        """Make the registered model of a type what the fleet database says: versions of the same numbers, with their
        aliases."""
        with reading(self._place.engine) as session:
            versions = sorted(model_versions.versions(session, type_id), key=lambda one: one.version)
        name = self._place.device_type(type_id).name
        entries = [
            _Entry(one.version, str(self._place.models(type_id) / one.folder), one.role, one.run, one.note)
            for one in versions
        ]
        self._mirror(f"{name}-{type_id}", "Anomaly detector of a device type", _DETECTORS, entries)

    def mirror_kinds(self) -> None:
        """The same for the model that names kinds of fault."""
        with reading(self._place.engine) as session:
            versions = sorted(kind_versions.versions(session), key=lambda one: one.version)
        folder = self._place.models(EVERY_TYPE)
        entries = [_Entry(one.version, str(folder / one.folder), one.role, one.run, one.note) for one in versions]
        if entries:
            self._mirror(FAULT_KINDS, "Names the kind of a fault, for devices of all types", _KINDS, entries)

    def _mirror(self, model: str, what: str, made_by: "_MadeBy", entries: Sequence["_Entry"]) -> None:
        registered = self._registered(model, what)
        for entry in entries:
            if entry.version not in registered:
                self._register(model, made_by, entry)
        for alias in ("champion", "challenger"):
            holder = next((entry for entry in entries if entry.role == alias), None)
            if holder is not None:
                self._client.set_registered_model_alias(model, alias, str(holder.version))
            else:
                self._client.delete_registered_model_alias(model, alias)

    def _registered(self, model: str, what: str) -> set[int]:
        if not self._client.search_registered_models(filter_string=f"name = '{model}'"):
            self._client.create_registered_model(model, description=what)
        return {int(one.version) for one in self._client.search_model_versions(f"name = '{model}'")}

    def _register(self, model: str, made_by: "_MadeBy", entry: "_Entry") -> None:
        known = None if entry.run is None else self._known(self._experiment(made_by.pipeline), entry.run)
        self._client.create_model_version(
            model,
            source=entry.source,
            run_id=known,
            tags={
                "folder": Path(entry.source).name,
                "note": entry.note,
                **({RUN_TAG: entry.run} if entry.run else {}),
            },
            description=self._card(made_by, entry),
        )

    def _card(self, made_by: "_MadeBy", entry: "_Entry") -> str:
        """The model card of a version, as the evaluation of its run wrote it; its note where no run made it."""
        if entry.run is None:
            return entry.note
        try:
            step = Runs(self._place.data).get(entry.run).step(made_by.judged_in)
            return (self._place.data / step.folder / "card.md").read_text()
        except (OSError, StorageError):
            return entry.note

    def _experiment(self, name: str) -> str:
        found = self._client.get_experiment_by_name(name)
        if found is not None:
            return str(found.experiment_id)
        kept = self._place.data / FOLDER / "artifacts" / name
        return str(self._client.create_experiment(name, artifact_location=kept.as_uri()))

    def _known(self, experiment: str, run_id: str) -> str | None:
        found = self._client.search_runs([experiment], f"tags.`{RUN_TAG}` = '{run_id}'", max_results=1)
        return str(found[0].info.run_id) if found else None


@contextmanager
def tracking(place: Workplace) -> Iterator[Tracking]:
    """MLflow of a data folder; its database is made on first use. Raises StorageError where it can't be."""
    folder = place.data / FOLDER
    # Nobody is told what runs here; and the log of MLflow is about its own tables.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "ERROR")
    logging.getLogger("alembic").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow's tables ask SQLAlchemy for what it advises against
        from mlflow.exceptions import MlflowException
        from mlflow.tracking import MlflowClient
        from sqlalchemy.exc import SQLAlchemyError

        try:
            folder.mkdir(parents=True, exist_ok=True)
            yield Tracking(place, MlflowClient(address(folder), address(folder)))
        except (MlflowException, SQLAlchemyError, OSError) as error:
            first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise StorageError(
                f"MLflow's database {folder / DATABASE} doesn't take what it is told: {first}. Models serve without it;"
                " restore it from a backup, or move it away: the next run makes it anew from runs/ and the database"
            ) from error


def address(folder: Path) -> str:
    """The address of MLflow's database, as its own commands take it."""
    return f"sqlite:///{folder / DATABASE}"


def _params(made: Mapping[str, Artifact]) -> dict[str, str]:
    return {f"{step}.{name}": str(value) for step, artifact in made.items() for name, value in artifact.config.items()}


def _metrics(run: Run, made: Mapping[str, Artifact]) -> dict[str, float]:
    found = {f"seconds.{step.name}": step.seconds for step in run.steps if step.ended_ms is not None}
    if run.ended_ms is not None:
        found["seconds"] = (run.ended_ms - run.started_ms) / 1000
    for step, artifact in made.items():
        for name, value in artifact.summary.items():
            if isinstance(value, int | float) and not isinstance(value, bool):
                found[f"{step}.{name}"] = float(value)
    if "model_evaluation" in made:
        report = read_report(made["model_evaluation"])
        found |= {f"test.{name}": value for name, value in report.challenger_figures.items()}
        found |= {f"champion.{name}": value for name, value in report.champion_figures.items()}
    return found


def _tags(run: Run, made: Mapping[str, Artifact]) -> dict[str, str]:
    tags = {
        "trigger": run.trigger.kind,
        "trigger.who": run.trigger.who,
        "trigger.why": run.trigger.why,
        "state": run.state,
        "reason": run.reason,
        "type": run.type_name,
        "executor": run.executor,
        "pipeline.version": run.code_version,
        "pipeline.code": run.code,
        "git.commit": run.commit or "",
        "previous_champion": str(run.previous_champion or ""),
    }
    for step, artifact in made.items():
        tags[f"artifact.{step}"] = artifact.hash
        if "verdict" in artifact.summary:
            tags[f"verdict.{step}"] = f"{artifact.summary['verdict']} {artifact.summary.get('reason') or ''}".strip()
    if "data_ingestion" in made:
        snapshot = read_ingested(made["data_ingestion"]).snapshot
        tags["snapshot.fingerprint"] = snapshot.fingerprint
        tags["snapshot.version"] = str(snapshot.version)
        tags["snapshot.range_ms"] = f"{snapshot.start_ms} {snapshot.end_ms}"
        tags["snapshot.seqs"] = str(snapshot.seqs)
    return tags
