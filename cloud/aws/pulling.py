"""Brings a model that was approved in SageMaker's registry to the running service: fetches it with its evidence, checks
all of it, and hands it to the pusher, as the pipeline here does."""

import shutil
import tarfile
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import msgspec
import structlog

from ...components import model_pusher
from ...components.artifact import Artifact, read, take_in
from ...components.data_ingestion import read_ingested
from ...components.model_pusher import Pushed, PusherConfig
from ...components.model_pusher.pusher import PUSHED_FILE
from ...components.workplace import Workplace
from ...detection.detector import Detector
from ...exceptions import ConfigError, FaultwatchError, ModelError
from ...pipelines.runs import Run, Runs, Trigger
from .account import Account
from .fetching import MOST_BYTES, fetch_file, fetch_folder, place_of
from .layout import MODEL_ARCHIVE, unpack
from .made import Made
from .registry import Package, must_be_approved

log = structlog.get_logger(__name__)

PIPELINE = "pull"
MODEL, PUSHER = "model_trainer", "model_pusher"
EVIDENCE = ("data_ingestion", "model_evaluation")
"""What the pipeline notes beside a model: where it learnt from, and how it was judged."""


def pull(
    account: Account,
    made: Made,
    place: Workplace,
    type_id: int,
    package: Package,
    config: PusherConfig,
    clock: Callable[[], int],
) -> tuple[Run, Pushed]:
    """Give a registered model a version of its type here, and have it served, or watched first, as `config` says.

    Nothing is kept of one that is refused. Raises ModelError where nobody approved it, its files aren't those that were
    trained and judged, the gate refused it, or it isn't of this type; ConfigError where it lies outside of the
    environment's bucket; ConflictError while somebody else pulls for the type; and what `account.asking` raises.
    """
    must_be_approved(package)
    runs = Runs(place.data)
    with (
        runs.only(PIPELINE, type_id),
        tempfile.TemporaryDirectory(dir=place.data, prefix=".pulling-") as scratch,
    ):
        _abandon(runs, type_id, clock())
        fetched = _fetch(account, made, package, Path(scratch))
        _check(place, type_id, package, fetched)
        run = _begin(runs, place, type_id, package, fetched[MODEL], clock())
        try:
            return run, _hand_over(runs, run, place, fetched, config, clock)
        except FaultwatchError as error:
            run.state, run.ended_ms, run.reason = "failed", clock(), str(error)
            runs.save(run)
            raise


def _fetch(account: Account, made: Made, package: Package, scratch: Path) -> dict[str, Artifact]:
    """The model and its evidence, each in a folder below `scratch`, whole by its own hash."""
    owner = made.sagemaker.account
    missing = [name for name in EVIDENCE if name not in package.noted]
    if missing:
        raise ModelError(
            f"model {package.name} was registered without {', '.join(missing)}; expected one that `faultwatch cloud"
            " pipeline` registered, which notes what it learnt from and how it was judged"
        )
    addresses = {MODEL: package.archive, **{name: package.noted[name] for name in EVIDENCE}}
    for name, address in addresses.items():
        if place_of(address)[0] != made.buckets.models:
            raise ConfigError(
                f"{name} of model {package.name} is at {address}; expected it in the bucket {made.buckets.models},"
                " which only the environment's own jobs write to"
            )
    account.must_own(made.buckets.models, owner)
    archive = fetch_file(account, owner, package.archive, scratch / MODEL_ARCHIVE, package.etag)
    _must_be_small(archive, package)
    folders = {MODEL: unpack(archive, scratch / MODEL)}
    for name in EVIDENCE:
        folders[name] = fetch_folder(account, owner, addresses[name], scratch / name)
    return {name: read(folder) for name, folder in folders.items()}


def _must_be_small(archive: Path, package: Package) -> None:
    """Raise ModelError where an archive would fill the disk; one that is damaged is told when it is unpacked."""
    try:
        with tarfile.open(archive, "r:gz") as packed:
            size = 0
            for member in packed:
                size += member.size
                if size > MOST_BYTES:
                    raise ModelError(f"model {package.name} unpacks to more than {MOST_BYTES:,} bytes; train again")
    except (tarfile.TarError, EOFError, OSError):
        return


def _check(place: Workplace, type_id: int, package: Package, fetched: Mapping[str, Artifact]) -> None:
    """Raise ModelError where the parts don't belong together, or the service couldn't serve them for this type."""
    model, source, evaluation = (fetched[name] for name in (MODEL, *EVIDENCE))
    device_type = place.device_type(type_id)
    for name, artifact in fetched.items():
        if artifact.component != name or artifact.subject != device_type.name:
            raise ModelError(
                f"{name} of model {package.name} is {artifact.component} of device type {artifact.subject!r}; expected"
                f" {name} of {device_type.name!r}"
            )
    if [evaluation.inputs.get(name) for name in (MODEL, EVIDENCE[0])] != [model.hash, source.hash]:
        raise ModelError(
            f"the evaluation of model {package.name} is of another model or other readings than those that were"
            " registered with it; train again with `faultwatch cloud pipeline --start`"
        )
    sensors = Detector.load(model.path).sensor_names_
    unknown = sorted(set(sensors) - set(device_type.sensor_names))
    if unknown:
        raise ModelError(
            f"model {package.name} knows sensors {', '.join(sensors)}; {device_type.name!r} no longer has"
            f" {', '.join(unknown)}: train again with `faultwatch cloud pipeline --start`"
        )
    if read_ingested(source).snapshot.type_id != type_id:
        raise ModelError(
            f"model {package.name} learnt from the readings of another database; name the data folder, database and"
            " lake of the environment that --made names"
        )


def _begin(runs: Runs, place: Workplace, type_id: int, package: Package, model: Artifact, now_ms: int) -> Run:
    """A run that says where the model came from, by whose code it was trained, and who approved it."""
    champion = place.champion(type_id)
    by = f", approved by {package.by}" if package.by else ""
    trigger = Trigger("on demand", place.who, f"{package.arn} was approved{by}")
    run = runs.begin(
        PIPELINE,
        [*EVIDENCE[:1], MODEL, *EVIDENCE[1:], PUSHER],
        type_id,
        model.subject,
        trigger,
        None if champion is None else champion.version,
        now_ms,
    )
    run.code_version, run.code, run.commit = model.code_version, model.code, model.commit
    execution = package.noted.get("execution", "unknown")
    run.executor = f"SageMaker, execution {execution} of pipeline {package.noted.get('pipeline', 'unknown')}"
    runs.save(run)
    return run


def _hand_over(
    runs: Runs,
    run: Run,
    place: Workplace,
    fetched: Mapping[str, Artifact],
    config: PusherConfig,
    clock: Callable[[], int],
) -> Pushed:
    """Keep what was fetched where the service looks for it, and push it."""
    kept: dict[str, Artifact] = {}
    for name, artifact in fetched.items():
        kept[name] = take_in(place.artifacts(name, run.type_id), artifact.path)
        _note(runs, run, place, name, kept[name], clock())
    run.step(PUSHER).started_ms = clock()
    at_work = replace(place, run=run.id)
    pushed = model_pusher.run(config, kept, at_work, run.type_id, clock())
    run.state, run.ended_ms = "done", clock()
    _note(runs, run, place, PUSHER, pushed, run.ended_ms)
    log.info("model.pulled", type=run.type_name, run=run.id, version=pushed.summary["version"])
    return msgspec.json.decode((pushed.path / PUSHED_FILE).read_bytes(), type=Pushed)


def _note(runs: Runs, run: Run, place: Workplace, name: str, artifact: Artifact, now_ms: int) -> None:
    step = run.step(name)
    step.state, step.attempts, step.ended_ms = "done", 1, now_ms
    step.started_ms = step.started_ms or now_ms
    step.hash, step.folder = artifact.hash, artifact.path.relative_to(place.data).as_posix()
    runs.save(run)


def _abandon(runs: Runs, type_id: int, now_ms: int) -> None:
    """A run that says it is running, while nobody else holds the lock, was killed; leftovers of it are deleted."""
    for run in runs.all(PIPELINE, type_id):
        if run.state == "running":
            run.state, run.ended_ms, run.reason = "failed", now_ms, "its process ended; another one pulled again"
            runs.save(run)
    # Folders of processes that were killed; those of other types' pulls that are under way are younger than a day.
    for folder in runs.folder.parent.glob(".pulling-*"):
        if now_ms / 1000 - folder.stat().st_mtime > 86_400:
            shutil.rmtree(folder, ignore_errors=True)
