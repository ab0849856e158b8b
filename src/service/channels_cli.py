"""`faultwatch channels`: where an owner is told of alerts."""

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ..exceptions import ConfigError
from ..fleet.terminal import DataOption, OwnerOption, administering, now_ms, opened, owner_meant, show, when

channels = typer.Typer(no_args_is_help=True, help="Where people are told: webhooks, and what Apprise knows.")

if TYPE_CHECKING:
    from sqlalchemy import Engine

NameArgument = Annotated[str, typer.Argument(help="The channel's name.", metavar="NAME")]
OperatorsFlag = Annotated[
    bool, typer.Option("--operators", help="A channel of operators, who are told of models, in place of an owner's.")
]


@channels.command("add")
def add_channel(
    name: NameArgument,
    address: Annotated[
        str,
        typer.Argument(
            help="https://… for a webhook, else an Apprise address such as mailto://… or slack://….", metavar="ADDRESS"
        ),
    ],
    owner: OwnerOption = None,
    operators: OperatorsFlag = False,
    min_severity: Annotated[
        Literal["info", "warning", "critical"], typer.Option(help="The mildest alerts it is told of.")
    ] = "warning",
    kind: Annotated[
        list[str] | None,
        typer.Option(
            help="Only alerts of this kind: anomaly, sensor, silent, threshold or site. May be given several times.",
            metavar="KIND",
        ),
    ] = None,
    data: DataOption = None,
) -> None:
    """Add a channel. For a webhook, print the secret it is signed with: it is never shown again."""
    from ..fleet import channels as stored
    from ..fleet.secrets import open_secrets

    target = stored.target_of(address)
    with opened(data) as (settings, engine):
        owner_id = _meant(engine, owner, operators)
        key = open_secrets(settings.secret_key_file)
        with administering(engine) as acts:
            acts.add_channel(owner_id, key, name, target, min_severity=min_severity, kinds=kind)
    if target.secret is not None:
        print(target.secret)


@channels.command("list")
def list_channels(data: DataOption = None) -> None:
    """List channels, without their addresses, and what became of their notices."""
    from ..fleet import channels as stored
    from ..fleet.access import Access
    from ..fleet.audit import COMMAND_LINE
    from ..fleet.database import reading
    from ..fleet.principal import Principal

    with opened(data) as (_, engine), reading(engine) as session:
        found = Access(session, Principal(None, "admin", None, COMMAND_LINE)).channels()
    rows = [
        (
            channel.name,
            channel.owner or stored.OPERATORS,
            channel.kind,
            channel.min_severity,
            ", ".join(channel.kinds or ["all"]),
            when(channel.created_ms),
            channel.sent,
            channel.pending,
            channel.dead,
            "disabled" if channel.disabled else "",
        )
        for channel in found
    ]
    headings = ("channel", "owner", "kind", "from severity", "alerts", "since", "sent", "waiting", "given up", "state")
    show(headings, rows)


@channels.command("remove")
def remove_channel(
    name: NameArgument, owner: OwnerOption = None, operators: OperatorsFlag = False, data: DataOption = None
) -> None:
    """Remove a channel and what was on its way to it."""
    with opened(data) as (_, engine):
        channel_id = _channel_id(engine, owner, operators, name)
        with administering(engine) as acts:
            acts.remove_channel(channel_id)


@channels.command("disable")
def disable_channel(
    name: NameArgument, owner: OwnerOption = None, operators: OperatorsFlag = False, data: DataOption = None
) -> None:
    """Let a channel rest: what is on its way waits, and nothing new is queued."""
    with opened(data) as (_, engine):
        channel_id = _channel_id(engine, owner, operators, name)
        with administering(engine) as acts:
            acts.set_channel_disabled(channel_id, True)


@channels.command("enable")
def enable_channel(
    name: NameArgument, owner: OwnerOption = None, operators: OperatorsFlag = False, data: DataOption = None
) -> None:
    """Let a disabled channel be told again, first of what waits."""
    with opened(data) as (_, engine):
        channel_id = _channel_id(engine, owner, operators, name)
        with administering(engine) as acts:
            acts.set_channel_disabled(channel_id, False)


@channels.command("again")
def try_again(
    name: NameArgument, owner: OwnerOption = None, operators: OperatorsFlag = False, data: DataOption = None
) -> None:
    """Send what was given up on a channel once more, and say how many notices that is."""
    from ..fleet.access import Access
    from ..fleet.audit import COMMAND_LINE
    from ..fleet.database import reading
    from ..fleet.models import Role
    from ..fleet.principal import Principal

    with opened(data) as (_, engine):
        owner_id = _meant(engine, owner, operators)
        with reading(engine) as session:
            role: Role = "admin" if owner_id is None else "owner"
            found = Access(session, Principal(None, role, owner_id, COMMAND_LINE)).dead_notices(limit=10_000)
        mine = [notice.id for notice in found if (notice.owner_id, notice.channel) == (owner_id, name)]
        with administering(engine) as acts:
            for notice_id in reversed(mine):
                acts.try_again(notice_id)
    print(f"{len(mine)} notices are on their way again")


@channels.command("test")
def test_channel(
    name: NameArgument, owner: OwnerOption = None, operators: OperatorsFlag = False, data: DataOption = None
) -> None:
    """Send a test message to a channel, now, and say whether it was taken."""
    import httpx

    from ..fleet import channels as stored
    from ..fleet import owners
    from ..fleet.database import reading
    from ..fleet.outbox import time_text
    from ..fleet.secrets import open_secrets
    from .channels import deliver, trial_message
    from .guard import Guard

    at_ms = now_ms()
    with opened(data) as (settings, engine):
        owner_id = _meant(engine, owner, operators)
        with reading(engine) as session:
            names: dict[int | None, str] = {entry.id: entry.name for entry in owners.all_owners(session)}
            names[None] = stored.OPERATORS
            target = stored.target(session, open_secrets(settings.secret_key_file), owner_id, name)
        guard = Guard(settings.notify_private_networks)
        what = trial_message(names[owner_id], name, time_text(at_ms), settings.base_url)
    with httpx.Client() as client:
        deliver(target, what, at_ms // 1000, client, guard)
    print(f"channel {name!r} took the test message")


def _meant(engine: "Engine", owner: str | None, operators: bool) -> int | None:
    """The owner meant, None where it is operators."""
    if not operators:
        return owner_meant(engine, owner)
    if owner is not None:
        raise ConfigError("--owner and --operators can't be given together: a channel is an owner's, or of operators")
    return None


def _channel_id(engine: "Engine", owner: str | None, operators: bool, name: str) -> int:
    from ..fleet import channels as stored
    from ..fleet.database import reading

    owner_id = _meant(engine, owner, operators)
    with reading(engine) as session:
        return stored.find(session, owner_id, name)
