"""Which actions of AWS a command asks for, read from its code: what it calls, and what that calls, within cloud/.

A call of AWS is known by its name, such as `describe_pipeline`, in a module that makes a client of a service with it.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

import botocore.session
from botocore import xform_name

from ..checkout import CLOUD

Function = tuple[str, str]
"""A module, as `aws/deployment`, and a function or method in it."""

NAMED_OTHERWISE = {"s3:HeadBucket": "s3:ListBucket", "s3:ListObjectsV2": "s3:ListBucket"}
NEED_NONE = {"sts:GetCallerIdentity"}
ALSO = {
    f"sagemaker:{call}": {"iam:PassRole"}
    for call in (
        "CreateDataQualityJobDefinition",
        "CreateModel",
        "CreateModelQualityJobDefinition",
        "CreatePipeline",
        "UpdatePipeline",
    )
}
"""Calls that hand a role over."""


@dataclass
class Module:
    """What a module defines, imports and asks of AWS."""

    functions: dict[str, ast.AST] = field(default_factory=dict)
    imported: dict[str, Function] = field(default_factory=dict)
    modules: dict[str, str] = field(default_factory=dict)
    calls: dict[str, str] = field(default_factory=dict)


@cache
def calls_of(service: str) -> dict[str, str]:
    """The actions of a service by the names of boto3's methods."""
    names = botocore.session.get_session().get_service_model(service).operation_names
    return {xform_name(name): f"{service}:{name}" for name in names}


def services_in(tree: ast.AST) -> Iterator[str]:
    """The services that a module makes clients of."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "client":
            yield from (one.value for one in node.args if isinstance(one, ast.Constant) and isinstance(one.value, str))


def asked_in(tree: ast.AST, calls: dict[str, str]) -> Iterator[str]:
    """What a piece of code asks of AWS: methods by their names, pages and signed addresses by what they are of."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in calls:
            yield calls[node.attr]
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            if node.func.attr in ("get_paginator", "get_waiter", "generate_presigned_url"):
                yield calls[ast.literal_eval(node.args[0])]


@cache
def modules() -> dict[str, Module]:
    """The modules of cloud/."""
    paths = {str(path.relative_to(CLOUD).with_suffix("")): path for path in sorted(CLOUD.rglob("*.py"))}
    found = {}
    for name, path in paths.items():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        module = found[name] = Module()
        for service in services_in(tree):
            module.calls.update(calls_of(service))
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef):
                module.functions[node.name] = node
            elif isinstance(node, ast.ImportFrom) and node.level:
                _import(module, node, Path(name).parent, paths)
    return found


def _import(module: Module, node: ast.ImportFrom, folder: Path, paths: dict[str, Path]) -> None:
    for _ in range(node.level - 1):
        folder = folder.parent
    source = folder / (node.module or "").replace(".", "/")
    for one in node.names:
        known_as = one.asname or one.name
        if str(source / one.name) in paths:
            module.modules[known_as] = str(source / one.name)
        elif str(source) in paths:
            module.imported[known_as] = (str(source), one.name)


def reached(begin: Function) -> set[Function]:
    """A function with all that it calls within cloud/, and all that those call."""
    found, left = set[Function](), [begin]
    while left:
        here = left.pop()
        if here not in found:
            found.add(here)
            left += _mentioned(here)
    return found


def _mentioned(function: Function) -> Iterator[Function]:
    name, of = function
    module = modules()[name]
    for node in ast.walk(module.functions[of]):
        if isinstance(node, ast.Name):
            target = module.imported.get(node.id, (name, node.id))
            if target[1] in modules()[target[0]].functions:
                yield target
        elif isinstance(node, ast.Attribute):
            if isinstance(node.value, ast.Name) and node.value.id in module.modules:
                yield module.modules[node.value.id], node.attr
            elif node.attr in modules()["aws/account"].functions:  # a method of an Account
                yield "aws/account", node.attr


def asked(begin: Function) -> set[str]:
    """The actions that a role needs for a function of cloud/."""
    said = set[str]()
    for name, of in reached(begin):
        module = modules()[name]
        said.update(asked_in(module.functions[of], module.calls))
    return needed(said)


def asked_by_script(path: Path) -> set[str]:
    """The actions that a role needs for a script, all of it."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    calls = {name: action for service in services_in(tree) for name, action in calls_of(service).items()}
    return needed(set(asked_in(tree, calls)))


def needed(said: set[str]) -> set[str]:
    """Actions as policies name them, with what they need beside."""
    named = {NAMED_OTHERWISE.get(one, one) for one in said} - NEED_NONE
    return named.union(*(ALSO.get(one, set()) for one in named))


def allowed(policies: list[dict[str, Any]], action: str) -> bool:
    """Whether a statement of these policies allows an action on something."""
    return any(
        fnmatchcase(action, pattern)
        for policy in policies
        for statement in policy["Statement"]
        if statement["Effect"] == "Allow"
        for pattern in ([statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"])
    )
