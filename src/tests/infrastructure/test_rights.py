"""Who runs which command on AWS, and that code is read for what it asks: `test_apply.py` holds policies to it."""

import ast

import pytest

from ..checkout import CLOUD, ROOT
from .rights import asked, asked_by_script, calls_of, modules, reached
from .roles import ASK_NOTHING, COMMANDS, SCRIPTS


def test_the_code_is_read_through_modules_names_and_methods() -> None:
    assert asked(("cli", "pull")) == {
        "s3:GetObject",
        "s3:ListBucket",
        "sagemaker:DescribeModelPackage",
        "sagemaker:ListModelPackages",
    }
    assert asked(("cli_monitor", "alert")) == {
        "s3:GetObject",
        "sagemaker:DescribeMonitoringSchedule",
        "sagemaker:DescribeProcessingJob",
    }
    assert asked(("cli", "step")) == {"secretsmanager:GetSecretValue"}
    assert {"iam:PassRole", "sagemaker:CreateEndpoint", "sagemaker:DeleteModel"} <= asked(("cli", "endpoint"))
    assert asked_by_script(ROOT / "scripts" / "raise_runner.py") == {
        "autoscaling:DescribeAutoScalingGroups",
        "autoscaling:SetDesiredCapacity",
    }


def test_every_command_of_cloud_is_somebodys() -> None:
    commands = {
        (name, node.name)
        for name in ("cli", "cli_monitor")
        for node in ast.walk(ast.parse((CLOUD / f"{name}.py").read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef) and any(isinstance(one, ast.Call) for one in node.decorator_list)
    }
    assert len(commands) > 10
    somebodys = set().union(*COMMANDS.values())
    assert commands - somebodys == ASK_NOTHING
    assert [one for one in ASK_NOTHING if asked(one)] == []


def test_every_function_that_asks_aws_is_reached_by_a_command() -> None:
    reachable = set().union(*(reached(one) for of in COMMANDS.values() for one in of))
    asking = {
        (name, of)
        for name, module in modules().items()
        for of, node in module.functions.items()
        if any(isinstance(one, ast.Attribute) and one.attr in module.calls for one in ast.walk(node))
    }
    assert len(asking) > 10 and asking - reachable == set()


@pytest.mark.parametrize("script", sorted({name for names in SCRIPTS.values() for name in names}))
def test_a_script_asks_for_something(script: str) -> None:
    assert asked_by_script(ROOT / "scripts" / script)


def test_a_call_that_is_new_would_be_read() -> None:
    assert calls_of("sagemaker")["delete_pipeline"] == "sagemaker:DeletePipeline"
