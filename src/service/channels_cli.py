"""`faultwatch channels`: where an owner is told of alerts."""

from typing import Annotated, Literal

import typer

from ..fleet.terminal import DataOption, OwnerOption, now_ms, opened, owner_meant, show, when

channels = typer.Typer(no_args_is_help=True, help="Where owners are told: webhooks, and what Apprise knows.")

NameArgument = Annotated[str, typer.Argument(help="The channel's name.", metavar="NAME")]


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
    from secrets import token_urlsafe

    from ..fleet import channels as stored
    from ..fleet.database import writing
    from ..fleet.secrets import open_secrets
    from .channels import check_target

    is_webhook = address.startswith(("http://", "https://"))
    secret = token_urlsafe(32) if is_webhook else None
    target = stored.Target("webhook" if is_webhook else "apprise", address, secret)
    check_target(target)
    with opened(data) as (settings, engine):
        owner_id = owner_meant(engine, owner)
        key = open_secrets(settings.secret_key_file)
        with writing(engine) as session:
            stored.add(session, key, owner_id, name, target, now_ms(), min_severity=min_severity, kinds=kind or None)
    if secret is not None:
        print(secret)


@channels.command("list")
def list_channels(data: DataOption = None) -> None:
    """List channels, without their addresses, and what became of their notices."""
    from sqlalchemy import func, select

    from ..fleet import models
    from ..fleet.database import reading

    channel, notice = models.Channel, models.Outbox
    counts = [func.count(notice.id).filter(notice.state == state) for state in ("sent", "pending", "dead")]
    query = (
        select(channel.name, models.Owner.name, channel.kind, channel.min_severity, channel.id, *counts)
        .join(models.Owner, models.Owner.id == channel.owner_id)
        .outerjoin(notice, notice.channel_id == channel.id)
        .group_by(channel.id, channel.name, models.Owner.name, channel.kind, channel.min_severity)
        .order_by(models.Owner.name, channel.name)
    )
    with opened(data) as (_, engine), reading(engine) as session:
        rows = session.execute(query).all()
        stored = {row.id: row for row in session.scalars(select(channel))}
    show(
        ("channel", "owner", "kind", "from severity", "alerts", "since", "sent", "waiting", "given up"),
        [
            (name, owner, kind, severity, ", ".join(stored[id_].kinds or ["all"]), when(stored[id_].created_ms), *found)
            for name, owner, kind, severity, id_, *found in rows
        ],
    )


@channels.command("remove")
def remove_channel(name: NameArgument, owner: OwnerOption = None, data: DataOption = None) -> None:
    """Remove a channel and what was on its way to it."""
    from ..fleet import channels as stored
    from ..fleet.database import writing

    with opened(data) as (_, engine):
        owner_id = owner_meant(engine, owner)
        with writing(engine) as session:
            stored.remove(session, owner_id, name)


@channels.command("test")
def test_channel(name: NameArgument, owner: OwnerOption = None, data: DataOption = None) -> None:
    """Send a test message to a channel, now, and say whether it was taken."""
    import httpx

    from ..fleet import channels as stored
    from ..fleet import owners
    from ..fleet.database import reading
    from ..fleet.outbox import time_text
    from ..fleet.secrets import open_secrets
    from .channels import deliver, trial_message

    at_ms = now_ms()
    with opened(data) as (settings, engine):
        owner_id = owner_meant(engine, owner)
        with reading(engine) as session:
            names = {entry.id: entry.name for entry in owners.all_owners(session)}
            target = stored.target(session, open_secrets(settings.secret_key_file), owner_id, name)
        what = trial_message(names[owner_id], name, time_text(at_ms), settings.base_url)
    with httpx.Client() as client:
        deliver(target, what, at_ms // 1000, client)
    print(f"channel {name!r} took the test message")
