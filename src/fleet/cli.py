"""`faultwatch owners`, `users`, `tokens` and `migrate`: straight on the database, the service running or not."""

import sys
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from .terminal import DataOption, OwnerOption, administering, opened, owner_meant, show, when

if TYPE_CHECKING:
    from sqlalchemy import Engine

owners = typer.Typer(no_args_is_help=True, help="The organisations that own devices.")
users = typer.Typer(no_args_is_help=True, help="The people who sign in.")
tokens = typer.Typer(no_args_is_help=True, help="What devices and scripts show to be let in.")

EmailArgument = Annotated[str, typer.Argument(help="The address they sign in with.", metavar="EMAIL")]
StdinOption = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password from standard input instead of asking for it.")
]


@owners.command("list")
def list_owners(data: DataOption = None) -> None:
    """List owners with how many devices they have."""
    from sqlalchemy import func, select

    from . import models
    from .database import reading

    with opened(data) as (_, engine), reading(engine) as session:
        counts = (
            select(models.Owner.name, models.Owner.created_ms, func.count(models.Device.id))
            .outerjoin(models.Device, models.Device.owner_id == models.Owner.id)
            .group_by(models.Owner.id, models.Owner.name, models.Owner.created_ms)
            .order_by(models.Owner.name)
        )
        rows = [(name, devices, when(created_ms)) for name, created_ms, devices in session.execute(counts)]
    show(("owner", "devices", "since"), rows)


@owners.command("add")
def add_owner(name: Annotated[str, typer.Argument(help="Their name.")], data: DataOption = None) -> None:
    """Add an owner; one that is there already stays as it is."""
    with opened(data) as (_, engine), administering(engine) as acts:
        acts.add_owner(name)


@owners.command("rename")
def rename_owner(
    name: Annotated[str, typer.Argument(help="Their name.")],
    new_name: Annotated[str, typer.Argument(help="Their name from now on.", metavar="NEW_NAME")],
    data: DataOption = None,
) -> None:
    """Give an owner another name; tokens, devices and people stay theirs."""
    with opened(data) as (_, engine):
        owner_id = owner_meant(engine, name)
        with administering(engine) as acts:
            acts.rename_owner(owner_id, new_name)


@owners.command("remove")
def remove_owner(name: Annotated[str, typer.Argument(help="Their name.")], data: DataOption = None) -> None:
    """Remove an owner of whom nothing is left: no device, no account, no token, no channel."""
    with opened(data) as (_, engine):
        owner_id = owner_meant(engine, name)
        with administering(engine) as acts:
            acts.remove_owner(owner_id)


@users.command("list")
def list_users(data: DataOption = None) -> None:
    """List accounts."""
    from . import owners as stored_owners
    from . import users as stored
    from .database import reading

    with opened(data) as (_, engine):
        found = stored.all_users(engine)
        with reading(engine) as session:
            names = {owner.id: owner.name for owner in stored_owners.all_owners(session)}
    rows = [
        (
            user.email,
            user.name,
            user.role,
            "" if user.owner_id is None else names[user.owner_id],
            "disabled" if user.disabled else "",
            when(user.created_ms),
        )
        for user in found
    ]
    show(("email", "name", "role", "owner", "state", "since"), rows)


@users.command("add")
def add_user(
    email: EmailArgument,
    role: Annotated[
        Literal["admin", "operator", "owner", "viewer"],
        typer.Option(
            help="admin: everything; operator: devices of all owners; owner: acts on their own devices; viewer: looks."
        ),
    ] = "viewer",
    owner: OwnerOption = None,
    name: Annotated[str, typer.Option(help="What pages call them. Default: from the address.")] = "",
    password_stdin: StdinOption = False,
    data: DataOption = None,
) -> None:
    """Add an account; its password is asked for."""
    from . import users as stored

    with opened(data) as (_, engine):
        owner_id = owner_meant(engine, owner) if role in ("owner", "viewer") else None
        secret = stored.hashed(_password(password_stdin))
        with administering(engine) as acts:
            acts.add_user(email, name, secret, role, owner_id)


@users.command("role")
def change_role(
    email: EmailArgument,
    role: Annotated[Literal["admin", "operator", "owner", "viewer"], typer.Argument(help="Its role from now on.")],
    owner: OwnerOption = None,
    data: DataOption = None,
) -> None:
    """Give an account another role; it is signed out everywhere."""
    with opened(data) as (_, engine):
        owner_id = owner_meant(engine, owner) if role in ("owner", "viewer") else None
        user_id = _user_id(engine, email)
        with administering(engine) as acts:
            acts.set_role(user_id, role, owner_id)


@users.command("password")
def change_password(email: EmailArgument, password_stdin: StdinOption = False, data: DataOption = None) -> None:
    """Give an account another password; it is signed out everywhere."""
    from . import users as stored

    with opened(data) as (_, engine):
        user_id = _user_id(engine, email)
        secret = stored.hashed(_password(password_stdin))
        with administering(engine) as acts:
            acts.set_password(user_id, secret)


@users.command("disable")
def disable_user(email: EmailArgument, data: DataOption = None) -> None:
    """Let an account no longer sign in; it is signed out everywhere."""
    with opened(data) as (_, engine):
        user_id = _user_id(engine, email)
        with administering(engine) as acts:
            acts.set_user_disabled(user_id, True)


@users.command("enable")
def enable_user(email: EmailArgument, data: DataOption = None) -> None:
    """Let a disabled account sign in again."""
    with opened(data) as (_, engine):
        user_id = _user_id(engine, email)
        with administering(engine) as acts:
            acts.set_user_disabled(user_id, False)


@tokens.command("create")
def create_token(
    owner: Annotated[str, typer.Option(help="Whose devices it is for; made where there is no such owner.")],
    name: Annotated[str, typer.Option(help="What lists call it.")] = "token",
    scope: Annotated[
        Literal["write", "read", "metrics"],
        typer.Option(
            help="write: may only write readings; read: sees what a viewer sees; metrics: opens /metrics and no more."
        ),
    ] = "write",
    register: Annotated[
        bool, typer.Option("--register/--no-register", help="Whether devices register themselves by it.")
    ] = True,
    device: Annotated[
        list[str] | None,
        typer.Option(help="It is for this device only, and registers none. May be given several times.", metavar="ID"),
    ] = None,
    data: DataOption = None,
) -> None:
    """Make a token and print it, alone on a line: it is never shown again."""
    from . import owners as stored_owners
    from .database import reading

    with opened(data) as (_, engine):
        with reading(engine) as session:
            known = {entry.name for entry in stored_owners.all_owners(session)}
        with administering(engine) as acts:
            owner_id = acts.add_owner(owner)
            token = acts.add_token(owner_id, name, scope=scope, may_register=register, device_ids=device)
        is_new = " ".join(owner.split()) not in known
    if is_new:
        typer.echo(f"owner {' '.join(owner.split())!r} was added", err=True)
    print(token)


@tokens.command("list")
def list_tokens(owner: OwnerOption = None, data: DataOption = None) -> None:
    """List tokens: how they begin, what they may do, when they were last used."""
    from . import owners as stored_owners
    from . import tokens as stored
    from .database import reading

    with opened(data) as (_, engine), reading(engine) as session:
        names = {entry.id: entry.name for entry in stored_owners.all_owners(session)}
        found = stored.all_tokens(session, None if owner is None else stored_owners.find(session, owner))
    rows = [
        (
            token.id,
            f"{token.prefix}…",
            token.name,
            names[token.owner_id],
            token.scope,
            "yes" if token.may_register else "no",
            "all" if token.device_ids is None else ", ".join(token.device_ids),
            when(token.last_used_ms) or "never",
            f"revoked {when(token.revoked_ms)}" if token.revoked_ms is not None else "",
        )
        for token in found
    ]
    show(("id", "token", "name", "owner", "scope", "registers", "devices", "last used", "state"), rows)


@tokens.command("revoke")
def revoke_token(
    token_id: Annotated[int, typer.Argument(help="Its id, as `faultwatch tokens list` shows it.", metavar="ID")],
    data: DataOption = None,
) -> None:
    """End a token: within seconds nothing more is taken by it."""
    with opened(data) as (_, engine), administering(engine) as acts:
        acts.revoke_token(token_id)


def migrate(data: DataOption = None) -> None:
    """Bring the database to this version's tables, as `faultwatch serve` does when it starts."""
    from . import database

    with opened(data) as (settings, engine):
        typer.echo(f"{engine.url.render_as_string(hide_password=True)} is at revision {database.revision(engine)}")


def _user_id(engine: "Engine", email: str) -> int:
    from . import users as stored
    from .database import reading

    with reading(engine) as session:
        return stored.by_email(session, email).id


def _password(from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))
