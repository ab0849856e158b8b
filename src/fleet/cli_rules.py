"""`faultwatch rules`: what owners want to hear of whatever the models say."""

from typing import Annotated, Literal

import typer

from .terminal import DataOption, OwnerOption, administering, opened, owner_meant, show

rules = typer.Typer(no_args_is_help=True, help="Rules of owners: an alert where a sensor is past a value for so long.")


@rules.command("add")
def add_rule(
    type_name: Annotated[str, typer.Argument(help="A device type.", metavar="TYPE")],
    sensor: Annotated[str, typer.Argument(help="One of its sensors.", metavar="SENSOR")],
    comparison: Annotated[Literal["above", "below"], typer.Argument(help="above or below.")],
    value: Annotated[float, typer.Argument(help="The limit, in the sensor's unit.", metavar="VALUE")],
    minutes: Annotated[float, typer.Option("--for", help="Only after so many minutes in a row.", min=0)] = 0.0,
    back: Annotated[
        float | None, typer.Option(help="The alert is over once the sensor is back here. Default: the limit.")
    ] = None,
    severity: Annotated[Literal["info", "warning", "critical"], typer.Option(help="How bad it is.")] = "warning",
    device: Annotated[str | None, typer.Option(help="Only this device of the type.", metavar="ID")] = None,
    owner: OwnerOption = None,
    data: DataOption = None,
) -> None:
    """Put a rule in force and print its id; a running service takes it up at once."""
    from . import rules as stored
    from .access import Access
    from .audit import COMMAND_LINE
    from .database import reading
    from .principal import Principal

    with opened(data) as (_, engine):
        owner_id = owner_meant(engine, owner)
        key = None
        if device is not None:
            with reading(engine) as session:
                key = Access(session, Principal(None, "owner", owner_id, COMMAND_LINE)).device(device).key
        with administering(engine) as acts:
            new = stored.NewRule(
                sensor=sensor,
                comparison=comparison,
                value=value,
                back=back,
                hold_ms=round(minutes * 60_000),
                severity=severity,
                device_key=key,
            )
            rule_id = acts.add_rule(owner_id, type_name, new)
    print(rule_id)


@rules.command("list")
def list_rules(owner: OwnerOption = None, data: DataOption = None) -> None:
    """List the rules that are in force."""
    from . import owners
    from .access import Access
    from .audit import COMMAND_LINE
    from .database import reading
    from .principal import Principal

    rows = []
    with opened(data) as (_, engine), reading(engine) as session:
        only = None if owner is None else owners.find(session, owner)
        who = Principal(None, "admin" if only is None else "owner", only, COMMAND_LINE)
        cursor: str | None = None
        while True:
            page = Access(session, who).rules(cursor=cursor, limit=1000)
            rows += [
                (rule.id, rule.owner, rule.type_name, rule.device_id or "all", rule.words, rule.severity)
                for rule in page.items
            ]
            if (cursor := page.next) is None:
                break
    show(("id", "owner", "type", "devices", "rule", "severity"), rows)


@rules.command("remove")
def remove_rule(
    rule_id: Annotated[int, typer.Argument(help="Its id, as `faultwatch rules list` shows it.", metavar="ID")],
    data: DataOption = None,
) -> None:
    """Take a rule back; its open alerts end."""
    with opened(data) as (_, engine), administering(engine) as acts:
        acts.remove_rule(rule_id)
