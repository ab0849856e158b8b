"""`make runner`: the group of an environment's runner goes from none to one, and no further."""

import boto3

from ..checkout import run
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
