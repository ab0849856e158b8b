"""`faultwatch models`, `lineage`, `reproduce`, `mlflow`: what serves, where it came from, and the way back."""

import json
import time
from typing import TYPE_CHECKING, Annotated

import typer

from ..components.command import DataOption, TypeOption, now_ms, workplace

if TYPE_CHECKING:
    from ..components.workplace import Workplace
    from ..fleet.kind_versions import KindVersion
    from ..fleet.model_versions import ModelVersion

models = typer.Typer(no_args_is_help=True, help="List, show, promote and roll back models.")

ModelArgument = Annotated[
    str,
    typer.Argument(
        help="TYPE, TYPE@champion, TYPE@challenger or TYPE@NUMBER; fault-kinds in place of TYPE.", metavar="MODEL"
    ),
]
JsonFlag = Annotated[bool, typer.Option("--json", help="Write JSON, for programs.")]
SWAP_WAIT_S = 5.0


@models.command("list")
def list_models(data: DataOption = None, type_name: TypeOption = None, as_json: JsonFlag = False) -> None:
    """List every version of every type's model, the newest first, and of the one that names kinds of fault."""
    import msgspec

    from ..components.workplace import FAULT_KINDS
    from ..fleet import kind_versions, model_versions
    from ..fleet.database import reading

    with workplace(data) as place:
        found: list[tuple[str, ModelVersion | KindVersion]] = []
        types = [] if type_name == FAULT_KINDS else place.types(type_name)
        with reading(place.engine) as session:
            for type_id, name in types:
                found += [(name, version) for version in model_versions.versions(session, type_id)]
            if type_name in (None, FAULT_KINDS):
                found += [(FAULT_KINDS, version) for version in kind_versions.versions(session)]
    if as_json:
        typer.echo(json.dumps([{"type": name, **msgspec.to_builtins(version)} for name, version in found], indent=2))
        return
    for name, version in found:
        typer.echo(f"{name}@{version.version}  {version.role or '-':10}  {_moment(version.trained_ms)}  {version.note}")
    if not found:
        typer.echo("no model yet: `faultwatch train` makes one, and a type learns by itself from its first readings")


@models.command("show")
def show_model(model: ModelArgument, data: DataOption = None) -> None:
    """Show a version's model card."""
    from .lineage import find_version
    from .runs import Runs

    with workplace(data) as place:
        kinds = _is_of_kinds(model)
        version = _kind_version(place, model) if kinds else find_version(place, model)
        if version.run is None:
            typer.echo(f"{model}: {version.note}; no run evaluated it, so it has no card")
            return
        step = Runs(place.data).get(version.run).step("fault_evaluation" if kinds else "model_evaluation")
        typer.echo((place.data / step.folder / "card.md").read_text())


@models.command("promote")
def promote(
    model: ModelArgument,
    data: DataOption = None,
    warm_days: Annotated[
        float,
        typer.Option(help="Let it live through so many days of every device first; 0 swaps it in at once.", min=0),
    ] = 14.0,
) -> None:
    """Have a version serve, whether or not it was watched for long enough."""
    from ..components.model_pusher import serve
    from .lineage import find_version

    with workplace(data) as place:
        if _is_of_kinds(model):
            _serve_kinds(place, _kind_version(place, model))
            return
        version = find_version(place, model)
        command = serve(place, version, now_ms(), warm_days)
        tell_served(place, version.type_id, version.version, command)


@models.command("rollback")
def rollback(
    type_name: Annotated[str, typer.Argument(help="The device type, or fault-kinds.", metavar="TYPE")],
    data: DataOption = None,
) -> None:
    """Have the version serve that served before; what devices have learnt moves over, so that it takes seconds."""
    from ..components.model_pusher import serve
    from ..fleet import kind_versions, model_versions
    from ..fleet.database import reading

    with workplace(data) as place:
        if _is_of_kinds(type_name):
            with reading(place.engine) as session:
                kinds = kind_versions.before(session)
            _serve_kinds(place, kinds)
            return
        ((type_id, _),) = place.types(type_name)
        with reading(place.engine) as session:
            version = model_versions.before(session, type_id)
        command = serve(place, version, now_ms(), 0)
        tell_served(place, type_id, version.version, command)


def _is_of_kinds(model: str) -> bool:
    from ..components.workplace import FAULT_KINDS

    return model.partition("@")[0] == FAULT_KINDS


def _kind_version(place: "Workplace", wanted: str) -> "KindVersion":
    """The version that `fault-kinds`, `fault-kinds@champion` or `fault-kinds@3` means."""
    from ..exceptions import ModelError
    from ..fleet import kind_versions
    from ..fleet.database import reading

    which = wanted.partition("@")[2] or "champion"
    with reading(place.engine) as session:
        found = kind_versions.get(session, int(which)) if which.isdigit() else kind_versions.champion(session)
    if found is None or not (which.isdigit() or which == "champion"):
        raise ModelError(
            f"{wanted!r}: expected fault-kinds, fault-kinds@champion or fault-kinds@NUMBER of one there is"
        )
    return found


def _serve_kinds(place: "Workplace", version: "KindVersion") -> None:
    from ..fleet import kind_versions
    from ..fleet.database import writing

    with writing(place.engine) as session:
        kind_versions.promote(session, version, place.who, now_ms())
    typer.echo(f"version {version.version} names kinds of fault from the next look at the alerts on")


def lineage(model: ModelArgument, data: DataOption = None) -> None:
    """Print the way from a model to its data: run, code, steps, snapshot."""
    from . import lineage as found

    with workplace(data) as place:
        for line in found.lineage(place, found.find_version(place, model)):
            typer.echo(line)


def reproduce(
    run: Annotated[str, typer.Argument(help="A run, as `faultwatch pipeline status` lists it.", metavar="RUN")],
    data: DataOption = None,
) -> None:
    """Train a run's model again from the lake and compare the bytes. Exit code 3 where they differ."""
    from ..components.code import code_hash
    from . import lineage as found

    with workplace(data) as place:
        again = found.reproduce(place, run)
    if again.same:
        typer.echo(f"{run}: the same bytes, {again.now}")
        return
    typer.echo(f"{run}: other bytes: {again.before} then, {again.now} now")
    if again.code_before != code_hash():
        typer.echo(f"  it was made by other code: {again.code_before}, commit {again.commit_before or 'unknown'}")
    raise typer.Exit(3)


def mlflow(data: DataOption = None, port: Annotated[int, typer.Option(help="Port to listen on.")] = 5000) -> None:
    """Open MLflow's pages on this data folder; needs the extra faultwatch[mlflow]."""
    import os
    import sys
    from importlib.metadata import PackageNotFoundError, version

    from ..exceptions import ConfigError
    from .tracking import FOLDER, address

    try:
        version("mlflow")  # the skinny package is a distribution of another name
    except PackageNotFoundError as error:
        raise ConfigError(
            "MLflow's pages aren't installed; pip install 'faultwatch[mlflow]' adds them (350 MB)"
        ) from error
    with workplace(data) as place:
        folder = place.data / FOLDER
    wanted = ["server", "--backend-store-uri", address(folder), "--host", "127.0.0.1", "--port", str(port)]
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    sys.stderr.flush()
    os.execv(sys.executable, [sys.executable, "-m", "mlflow", *wanted])  # nosec B606


def tell_served(place: "Workplace", type_id: int, number: int, command: int | None) -> None:
    """Wait a little for a running service to take a version up, tell MLflow, and say how it stands."""
    from ..fleet import model_versions
    from ..fleet.database import reading
    from .operating import record

    name = f"{place.device_type(type_id).name}@{number}"
    if command is None:
        with reading(place.engine) as session:
            role = model_versions.get(session, type_id, number).role
        typer.echo(f"{name} serves already" if role == "champion" else f"{name} is watched before it may serve")
    else:
        taken = _taken(place, command)
        typer.echo(f"{name} serves" if taken else f"{name} is champion; a service takes it up when it starts")
    record(place, type_id)


def _taken(place: "Workplace", command: int) -> bool:
    from ..fleet import model_versions
    from ..fleet.database import reading

    until = time.monotonic() + SWAP_WAIT_S
    while True:
        with reading(place.engine) as session:
            if model_versions.swapped(session, command):
                return True
        if time.monotonic() > until:
            return False
        time.sleep(0.05)


def _moment(ms: int) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M")
