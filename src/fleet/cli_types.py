"""`faultwatch types`: device types as JSON files, added while the service runs or not."""

from pathlib import Path
from typing import Annotated

import typer

from ..exceptions import ConfigError
from .terminal import DataOption, now_ms, opened, show

types = typer.Typer(no_args_is_help=True, help="The models of device: their sensors and how often they report.")

OwnerOfType = Annotated[
    str | None, typer.Option("--owner", help="Whose type it is. Default: shared by all owners.", metavar="NAME")
]


@types.command("add")
def add_type(
    file: Annotated[Path, typer.Argument(help="A device type as JSON.", metavar="FILE")],
    owner: OwnerOfType = None,
    data: DataOption = None,
) -> None:
    """Add a device type, or a new version of the one of that name; a running service takes it up at once."""
    from ..telemetry.schema import decode_type
    from . import device_types, owners
    from .database import writing

    try:
        device_type = decode_type(file.read_bytes())
    except OSError as error:
        raise ConfigError(f"{file} can't be read: {error.strerror}") from error
    except ConfigError as error:
        raise ConfigError(f"{file}: {error}") from error
    with opened(data) as (_, engine), writing(engine) as session:
        owner_id = None if owner is None else owners.find(session, owner)
        type_id, version = device_types.add(session, owner_id, device_type, now_ms())
    print(f"{device_type.name} version {version} (type {type_id})")


@types.command("infer")
def infer_type(
    file: Annotated[Path, typer.Argument(help="Real readings, as CSV or Parquet.", metavar="FILE")],
    name: Annotated[str | None, typer.Option(help="What to call the type. Default: as the file.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Write the type here instead of printing it.", metavar="TYPE.json")
    ] = None,
    mapping: Annotated[
        Path | None,
        typer.Option(help="Write here how the file is to be read, for `faultwatch ingest`.", metavar="MAPPING.json"),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace files that are there with other content.")] = False,
) -> None:
    """Propose a device type from a file of readings, as JSON for `faultwatch types add`.

    What a person should check of the proposal is said on stderr.
    """
    from ..telemetry.infer import infer
    from ..telemetry.mapping import encode_mapping

    if out is not None and out == mapping:
        raise ConfigError(f"--out and --mapping both name {out}; give each a file of its own")
    proposal = infer(file, name)
    type_json, mapping_json = f"{proposal.type_json()}\n", f"{encode_mapping(proposal.mapping).decode()}\n"
    texts = [(path, text) for path, text in ((out, type_json), (mapping, mapping_json)) if path is not None]
    if not force:
        for path, text in texts:
            _may_be_written(path, text)
    for path, text in texts:
        _write(path, text)
    if out is None:
        print(type_json, end="")
    for note in proposal.notes:
        typer.echo(f"note: {note}", err=True)


@types.command("list")
def list_types(data: DataOption = None) -> None:
    """List device types in their newest versions."""
    from . import device_types, owners
    from .database import reading

    with opened(data) as (_, engine), reading(engine) as session:
        names = {owner.id: owner.name for owner in owners.all_owners(session)}
        found = device_types.newest(session)
    rows = [
        (
            entry.type_id,
            entry.device_type.name,
            entry.device_type.version,
            "shared" if entry.owner_id is None else names[entry.owner_id],
            f"{entry.device_type.interval_s:g} s",
            ", ".join(sensor.name for sensor in entry.device_type.sensors if not sensor.retired),
        )
        for entry in found
    ]
    show(("id", "type", "version", "owner", "interval", "sensors"), rows)


@types.command("show")
def show_type(
    name: Annotated[str, typer.Argument(help="Its name.")],
    owner: OwnerOfType = None,
    version: Annotated[int | None, typer.Option(min=1, help="A version. Default: the newest.")] = None,
    data: DataOption = None,
) -> None:
    """Print a device type as JSON, ready to be changed and added again."""
    import msgspec

    from ..telemetry.schema import encode_type
    from . import device_types, owners
    from .database import reading

    with opened(data) as (_, engine), reading(engine) as session:
        owner_id = None if owner is None else owners.find(session, owner)
        entry = device_types.find(session, owner_id, name)
        if entry is None:
            known = ", ".join(sorted({entry.device_type.name for entry in device_types.newest(session)})) or "none yet"
            raise ConfigError(f"there is no device type {name!r}; there are: {known}")
        versions = device_types.versions(session, entry.type_id)
    if version is not None and version > len(versions):
        raise ConfigError(f"type {name!r} has {len(versions)} versions; version {version} was asked for")
    chosen = versions[-1 if version is None else version - 1]
    print(msgspec.json.format(encode_type(chosen), indent=2).decode())


def _may_be_written(path: Path, text: str) -> None:
    """Raise ConfigError where a file is there and holds anything but this text."""
    try:
        is_other = path.exists() and path.read_bytes() != text.encode()
    except OSError as error:
        raise ConfigError(f"{path} can't be written: {error.strerror}") from error
    if is_other:
        raise ConfigError(f"{path} is there already and holds something else; name another file or give --force")


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path} can't be written: {error.strerror}") from error
