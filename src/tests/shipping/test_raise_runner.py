"""`make runner`: the group of an environment's runner goes from none to one, and no further."""

import re

import boto3
import pytest

from ..checkout import ROOT, run
from ..systems import s3

GROUP = "faultwatch-dev-runner"


def test_a_runner_is_asked_for_once_and_a_group_that_is_not_there_is_told(moto_server: s3.Bucket) -> None:
    command = ["make", "--no-print-directory", "runner", "ENVIRONMENT=dev"]
    done = run(command)
    assert done.returncode == 2 and f"there is no group {GROUP}; apply infrastructure/environments/dev" in done.stderr
    scaling = boto3.client("autoscaling")
    scaling.create_launch_configuration(LaunchConfigurationName="runner", ImageId="ami-1", InstanceType="t4g.large")
    scaling.create_auto_scaling_group(
        AutoScalingGroupName=GROUP,
        LaunchConfigurationName="runner",
        MinSize=0,
        MaxSize=2,
        DesiredCapacity=0,
        AvailabilityZones=["eu-central-1a"],
    )
    for _ in range(2):
        done = run(command)
        assert (done.returncode, done.stdout) == (0, f"a runner of {GROUP} is on its way\n")
        (group,) = scaling.describe_auto_scaling_groups(AutoScalingGroupNames=[GROUP])["AutoScalingGroups"]
        assert group["DesiredCapacity"] == 1
    assert run(["make", "runner", "ENVIRONMENT="]).returncode == 2


@pytest.mark.parametrize("environment", ["dev", "prod"])
def test_the_job_that_deploys_asks_for_the_label_that_the_runner_registers_with(environment: str) -> None:
    """infrastructure/tests holds the module to its part: without `label`, the label is the environment's name."""
    module = (ROOT / "infrastructure" / "environments" / environment / "main.tf").read_text(encoding="utf-8")
    composed = (ROOT / "infrastructure" / "faultwatch" / "main.tf").read_text(encoding="utf-8")
    workflow = (ROOT / ".github" / "workflows" / "deploy.yml").read_text(encoding="utf-8")
    (name,) = re.findall(r'^  name += "(.+)"$', module, re.M)
    (asked,) = re.findall(r'runs-on: \[self-hosted, linux, "(.+)"\]', workflow)
    assert asked.replace("${{ inputs.environment }}", environment) == name
    assert re.search(r"^  label\b", composed, re.M) is None, "the runner's label is no longer the environment's name"
