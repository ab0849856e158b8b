"""From a model back to its data, and from a run's record to the same bytes again."""

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import polars as pl

from ..components import data_transformation, model_trainer
from ..components.artifact import Artifact, read
from ..components.code import code_hash
from ..components.data_ingestion import read_ingested
from ..components.data_ingestion.ingestion import count_days
from ..components.data_transformation import TransformationConfig
from ..components.model_trainer import TrainerConfig
from ..components.workplace import EVERY_TYPE, FAULT_KINDS, Workplace
from ..exceptions import ModelError, StorageError
from ..fleet import model_versions
from ..fleet.database import reading
from ..fleet.model_versions import ModelVersion
from ..telemetry.lake_snapshots import Snapshot
from .runs import Run, Runs

_OF_EPISODES = "the model of kinds of fault stands on reported faults, not on a snapshot of readings"


@dataclass(frozen=True, slots=True)
class Reproduced:
    """A run trained again: the hash of its model then and now, and of the code."""

    run: str
    before: str
    now: str
    code_before: str
    commit_before: str | None

    @property
    def same(self) -> bool:
        """Whether every byte is."""
        return self.before == self.now


def find_version(place: Workplace, wanted: str) -> ModelVersion:
    """The version that `pump`, `pump@champion`, `pump@challenger` or `pump@3` means.

    Raises ConfigError where there is no such type, ModelError where there is no such version.
    """
    name, _, which = wanted.partition("@")
    if name == FAULT_KINDS:
        raise ModelError(f"{wanted!r}: {_OF_EPISODES}; `faultwatch models show {wanted}` says what it learnt from")
    ((type_id, _),) = place.types(name)
    with reading(place.engine) as session:
        if which.isdigit():
            return model_versions.get(session, type_id, int(which))
        known = {one.role: one for one in model_versions.versions(session, type_id) if one.role}
    found = known.get(which or "champion")
    if found is None:
        roles = ", ".join(sorted(known)) or "neither"
        raise ModelError(f"{wanted!r}: expected TYPE, TYPE@champion, TYPE@challenger or TYPE@NUMBER; it has {roles}")
    return found


def lineage(place: Workplace, version: ModelVersion) -> Iterator[str]:
    """The way from a version to its data, a line for each station."""
    name = place.device_type(version.type_id).name
    yield f"model {name}@{version.version} ({version.role or 'not serving'}): {version.folder}, {version.note}"
    if version.run is None:
        yield "  no run made it: the type learnt by itself from its first readings"
        return
    run = Runs(place.data).get(version.run)
    trigger = f"{run.trigger.kind}, by {run.trigger.who}" + (f": {run.trigger.why}" if run.trigger.why else "")
    yield f"run {run.id}: {run.state}, {_moment(run.started_ms)}, {trigger}"
    yield f"  code {run.code}, version {run.code_version}, commit {run.commit or 'unknown (no checkout)'}"
    yield f"  executor: {run.executor}; champion before it: {run.previous_champion or 'none'}"
    for step in reversed(run.steps):
        if step.hash:
            yield f"{step.name} {step.hash[:12]}: {step.state} in {step.seconds:.1f} s, {step.folder}"
    source = _ingestion(place, run)
    ingested = read_ingested(source)
    snapshot, sample = ingested.snapshot, ingested.sample
    yield (
        f"snapshot {snapshot.fingerprint}: {snapshot.rows:,} readings, {_moment(snapshot.start_ms)} to"
        f" {_moment(snapshot.end_ms)}, records up to {_seqs(snapshot)}, lake version {snapshot.version}"
    )
    yield (
        f"  read {sample.rows:,} readings of {len(ingested.split.training)} devices to learn from and"
        f" {len(ingested.split.held_out)} unseen ones, {len(ingested.labels)} fault reports"
    )
    pinned = place.lake.pins().get(f"model-{version.type_id}-{version.version}")
    yield f"  {'pinned: retention leaves it' if pinned is not None else 'not pinned: retention may take it'}"


def reproduce(place: Workplace, run_id: str) -> Reproduced:
    """Train a run's model again from the lake, in a folder of its own, and compare bytes.

    Raises ModelError where the run trained nothing, StorageError where the lake has lost rows; it names their days.
    """
    run = Runs(place.data).get(run_id)
    if run.type_id == EVERY_TYPE:
        raise ModelError(f"run {run_id}: {_OF_EPISODES}; `faultwatch train --faults` learns from them again")
    before = run.step("model_trainer")
    if not before.hash:
        raise ModelError(f"run {run_id} trained no model: {run.state}, {run.reason or 'it ended before that'}")
    source = _ingestion(place, run)
    transform = read(place.data / run.step("data_transformation").folder)
    model = read(place.data / before.folder)
    waiting = Path(tempfile.mkdtemp(dir=place.data, prefix=".reproducing-"))
    try:
        apart = replace(place, data=waiting)
        inputs = {"data_ingestion": source}
        config = msgspec.convert(transform.config, TransformationConfig)
        rows = data_transformation.run(config, inputs, apart, run.type_id, transform.made_ms)
        trainer = msgspec.convert(model.config, TrainerConfig)
        again = model_trainer.run(trainer, {"data_transformation": rows}, apart, run.type_id, model.made_ms)
    except StorageError as error:
        raise _named(place, read_ingested(source).sample, read_ingested(source).days, error) from error
    finally:
        shutil.rmtree(waiting, ignore_errors=True)
    return Reproduced(run_id, before.hash, again.hash, model.code or code_hash(), model.commit)


def _ingestion(place: Workplace, run: Run) -> Artifact:
    step = run.step("data_ingestion")
    if not step.folder:
        raise ModelError(f"run {run.id} took no snapshot: {run.reason or run.state}")
    return read(place.data / step.folder)


def _named(place: Workplace, sample: Snapshot, wanted: Mapping[str, int], error: StorageError) -> StorageError:
    """The error, with the days of which readings are gone."""
    parts = place.lake.snapshot_chunks(sample, columns=("device_key", "timestamp"))
    there = count_days(_as_far_as_they_go(parts))
    lost = [
        f"{day} ({rows - there.get(day, 0):,} of {rows:,})" for day, rows in wanted.items() if there.get(day, 0) < rows
    ]
    if not lost:
        return error
    return StorageError(
        f"it can't be trained again: the lake has lost readings of {', '.join(lost)}. Retention takes what no"
        " registered model stands on; restore these days from a backup"
    )


def _as_far_as_they_go(parts: Iterator[pl.DataFrame]) -> Iterator[pl.DataFrame]:
    """What there is; a snapshot that has lost rows says so only at its end."""
    try:
        yield from parts
    except StorageError:
        return


def _seqs(snapshot: Snapshot) -> str:
    return ", ".join(f"{seq} of shard {shard}" for shard, seq in sorted(snapshot.seqs.items()))


def _moment(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")
