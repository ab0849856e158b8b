"""The commands of AWS that the documentation names are those that AWS has, with options that they take."""

import re
import shlex
from collections.abc import Iterable, Iterator
from functools import cache

import botocore.session
from botocore import xform_name

from ..checkout import ROOT

PAGES = sorted([*(ROOT / "docs").rglob("*.md"), *(ROOT / "infrastructure").rglob("*.md")])
OF_THE_COMMAND_LINE = {
    "aws sso login",
    "aws configure list-profiles",
    "aws eks update-kubeconfig",
    "aws ecr get-login-password",
}
"""What its own documentation has beside the services' operations."""
EVERYWHERE = {"--output", "--profile", "--query", "--region"}


def commands() -> Iterator[tuple[str, list[str]]]:
    """Each command with its page's name, as words."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8").replace("\\\n", " ")
        for said in re.findall(r"(?<![\w/-])aws [a-z0-9]+ [a-z0-9-]+[^\n`|)]*", text):
            quoted = said.count('"') % 2 or said.count("'") % 2
            yield page.name, (said.split() if quoted else shlex.split(said, comments=True))


@cache
def operations(service: str) -> dict[str, set[str]]:
    """A service's operations with their options, as the command line names them."""
    model = botocore.session.get_session().get_service_model(service)
    found = {}
    for name in model.operation_names:
        shape = model.operation_model(name).input_shape
        found[xform_name(name, "-")] = {f"--{xform_name(member, '-')}" for member in (shape.members if shape else ())}
    return found


def faults(found: Iterable[tuple[str, list[str]]]) -> Iterator[str]:
    """What AWS doesn't have of commands with their pages' names."""
    for page, words in found:
        service, verb, *rest = words[1:]
        if " ".join(words[:3]) in OF_THE_COMMAND_LINE:
            continue
        if verb == "wait":
            waiters = botocore.session.get_session().get_waiter_model(service)
            names = {xform_name(name, "-"): waiters.get_waiter(name).operation for name in waiters.waiter_names}
            if rest[0] not in names:
                yield f"{page}: nothing of {service} waits for {rest[0]}"
                continue
            verb = xform_name(names[rest[0]], "-")
        if verb not in operations(service):
            yield f"{page}: {service} has no {verb}"
            continue
        unknown = {word for word in rest if word.startswith("--")} - operations(service)[verb] - EVERYWHERE
        yield from (f"{page}: {service} {verb} takes no {option}" for option in sorted(unknown))


def test_commands_of_aws_are_those_that_there_are() -> None:
    assert len(list(commands())) > 8
    assert list(faults(commands())) == []


def test_one_that_there_is_not_would_be_found() -> None:
    wrong = ["aws acm wait certificate-issued", "aws acm ask", "aws ecr describe-images --name faultwatch"]
    assert [fault.partition(": ")[2] for fault in faults(("page", said.split()) for said in wrong)] == [
        "nothing of acm waits for certificate-issued",
        "acm has no ask",
        "ecr describe-images takes no --name",
    ]
