"""Ask for a self-hosted runner, which ends by itself after one job: `python -m scripts.raise_runner dev`."""

import sys

import boto3
from botocore.exceptions import BotoCoreError, ClientError


def main() -> int:
    """Raise the group of an environment's runner to one; the exit code: 0 one comes, 1 none does."""
    if len(sys.argv) != 2 or not sys.argv[1]:
        print("usage: python -m scripts.raise_runner ENVIRONMENT", file=sys.stderr)
        return 2
    group = f"faultwatch-{sys.argv[1]}-runner"
    try:
        scaling = boto3.client("autoscaling")
        found = scaling.describe_auto_scaling_groups(AutoScalingGroupNames=[group])["AutoScalingGroups"]
        if not found:
            print(f"there is no group {group}; apply infrastructure/environments/{sys.argv[1]} first", file=sys.stderr)
            return 1
        if found[0]["DesiredCapacity"] < 1:
            scaling.set_desired_capacity(AutoScalingGroupName=group, DesiredCapacity=1)
    except (BotoCoreError, ClientError) as error:
        print(f"no runner was asked for: {error}", file=sys.stderr)
        return 1
    print(f"a runner of {group} is on its way")
    return 0


if __name__ == "__main__":
    sys.exit(main())
