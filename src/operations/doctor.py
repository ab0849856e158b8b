"""`faultwatch doctor`: looks at everything, one line each, with what to do."""

from collections import Counter
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..fleet.terminal import DataOption

if TYPE_CHECKING:
    from ..settings import Settings
    from .findings import Finding

MINUTES = {"format", "drift", "ml tests", "infra tests"}
"""What is announced before it is looked at, since nothing else would be seen for long."""


def doctor(
    data: DataOption = None,
    production: Annotated[
        bool, typer.Option("--production", help="Go through the production checklist as well; tests take minutes.")
    ] = False,
    environment: Annotated[
        str, typer.Option(help="Whose infrastructure is compared with its Terraform.", metavar="NAME")
    ] = "prod",
    accept_settings: Annotated[
        bool, typer.Option("--accept-settings", help="Write down the settings in force as those of this release.")
    ] = False,
) -> None:
    """Look at everything faultwatch needs, one line each: ok, warn, or fail, with what to do.

    Changes nothing; the service may be running or not. With --production it sends a test message to each channel, and
    what isn't ready for production fails. Exit code 0: nothing failed; 1: something did.
    """
    from ..exceptions import ConfigError
    from ..settings import load_settings
    from .findings import Finding

    if accept_settings and not production:
        raise ConfigError("--accept-settings is a part of --production: give both")
    try:
        settings = load_settings(data=data)
    except ConfigError as error:
        findings = iter([Finding("fail", "settings", str(error))])
    else:
        findings = examine(settings)
        if production:
            findings = chain(findings, examine_release(settings, environment, accept_settings))
    counts: Counter[str] = Counter()
    for finding in findings:
        counts[finding.level] += 1
        typer.echo(f"{finding.level:<5} {finding.subject:<12} {' '.join(finding.words.split())}")
    typer.echo(f"{counts['ok']} ok, {counts['warn']} to look at, {counts['fail']} failed")
    if counts["fail"]:
        raise typer.Exit(1)


def examine(settings: "Settings") -> "Iterator[Finding]":
    """Everything in the order in which one thing stands on another."""
    from ..exceptions import StorageError
    from ..fleet.database import answers, connect
    from ..telemetry.lake import Lake
    from .findings import Finding, examined
    from .fleet import Fleet
    from .machine import Machine
    from .storage import Storage

    machine = Machine(settings)
    yield from examined("versions", machine.versions)
    yield from examined("settings", machine.environment)
    yield from examined("data folder", machine.folders)
    yield from examined("free space", machine.space)
    yield from examined("clock", machine.clock)
    engine = connect(settings.database_url)
    lake = Lake(settings.lake_url, settings.storage_options())
    storage, fleet = Storage(settings, engine, lake), Fleet(settings, engine, lake)
    try:
        answers(engine)
        yield from examined("database", storage.database)
        yield from examined("log", storage.log)
        yield from examined("checkpoint", storage.checkpoints)
        yield from examined("lake", storage.lake)
        yield from examined("models", fleet.models)
        yield from examined("data", fleet.data_health)
        yield from examined("notices", fleet.notifications)
    except StorageError as error:  # what follows all begins with the database
        yield Finding("fail", "database", str(error))
    yield from examined("service", fleet.service)
    engine.dispose()


def examine_release(settings: "Settings", environment: str, accept: bool) -> "Iterator[Finding]":
    """The production checklist, item by item."""
    from ..fleet.database import connect
    from ..telemetry.lake import Lake
    from .findings import examined
    from .production import Production
    from .project import find_checkout

    engine = connect(settings.database_url)
    lake = Lake(settings.lake_url, settings.storage_options())
    release = Production(settings, engine, lake, find_checkout(Path.cwd()), environment, accept)
    for subject, examination in release.examinations():
        if subject in MINUTES:
            typer.echo(f"      {subject:<12} is looked at, which may take minutes", err=True)
        yield from examined(subject, examination)
    engine.dispose()
