"""environments/dev applied against moto: it comes up, a second plan changes nothing, and destroy leaves nothing."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import jmespath
import pytest
from scripts.state_bucket import make_state_bucket

from ..checkout import ROOT
from ..systems import s3
from .aws import ACCOUNT, client_of, empty_aws
from .conftest import Workplace
from .moto_gaps import overrides
from .rights import allowed, asked, asked_by_script
from .roles import COMMANDS, SCRIPTS

pytestmark = pytest.mark.infra

DEV = "environments/dev"
CENSUS = {
    "machines' groups": ("autoscaling", "describe_auto_scaling_groups", "AutoScalingGroups[].AutoScalingGroupName"),
    "alarms": ("cloudwatch", "describe_alarms", "MetricAlarms[].AlarmName"),
    "addresses": ("ec2", "describe_addresses", "Addresses[].AllocationId"),
    "gateways": ("ec2", "describe_nat_gateways", "NatGateways[?State!='deleted'].NatGatewayId"),
    "launch templates": ("ec2", "describe_launch_templates", "LaunchTemplates[].LaunchTemplateName"),
    "networks": ("ec2", "describe_vpcs", "Vpcs[].VpcId"),
    "endpoints": ("ec2", "describe_vpc_endpoints", "VpcEndpoints[?State!='deleted'].VpcEndpointId"),
    "security groups": ("ec2", "describe_security_groups", "SecurityGroups[].GroupId"),
    "subnets": ("ec2", "describe_subnets", "Subnets[].SubnetId"),
    "image repositories": ("ecr", "describe_repositories", "repositories[].repositoryName"),
    "clusters": ("eks", "list_clusters", "clusters"),
    "roles": ("iam", "list_roles", "Roles[].RoleName"),
    "identity providers": ("iam", "list_open_id_connect_providers", "OpenIDConnectProviderList[].Arn"),
    "keys' names": ("kms", "list_aliases", "Aliases[?!starts_with(AliasName, 'alias/aws/')].AliasName"),
    "log groups": ("logs", "describe_log_groups", "logGroups[].logGroupName"),
    "databases": ("rds", "describe_db_instances", "DBInstances[].DBInstanceIdentifier"),
    "buckets": ("s3", "list_buckets", "Buckets[].Name"),
    "schedules": ("scheduler", "list_schedules", "Schedules[].Name"),
    "secrets": ("secretsmanager", "list_secrets", "SecretList[].Name"),
    "topics": ("sns", "list_topics", "Topics[].TopicArn"),
    "queues": ("sqs", "list_queues", "QueueUrls"),
}
"""What is counted before and after, and how AWS is asked for it."""

Counted = dict[str, set[str]]


@dataclass(frozen=True)
class Life:
    """What was seen while the environment was made and unmade."""

    before: Counted
    during: Counted
    inbound: dict[str, list[Any]]
    after: Counted
    state: dict[str, Any]
    second_plan: str
    second_plan_code: int
    locked: str
    left_in_state: str


def census(endpoint: str) -> Counted:
    """What there is, by kind."""
    found = {}
    for kind, (service, operation, query) in CENSUS.items():
        client = client_of(service, endpoint)
        found[kind] = set(jmespath.search(query, getattr(client, operation)()) or [])
        client.close()
    return found


def inbound_rules(endpoint: str) -> dict[str, list[Any]]:
    """The inbound rules of each security group of ours, by its name."""
    client = client_of("ec2", endpoint)
    ours = client.describe_vpcs(Filters=[{"Name": "tag:Name", "Values": ["faultwatch-dev"]}])["Vpcs"][0]["VpcId"]
    groups = client.describe_security_groups(Filters=[{"Name": "vpc-id", "Values": [ours]}])["SecurityGroups"]
    client.close()
    return {group["GroupName"]: group["IpPermissions"] for group in groups}


def variables(endpoint: str) -> dict[str, str]:
    """The environment of a Terraform that talks to moto, with all that dev must be told."""
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": s3.ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": s3.ACCESS_KEY,
        "AWS_REGION": s3.REGION,
        "TF_VAR_account_id": ACCOUNT,
        "TF_VAR_region": s3.REGION,
        "TF_VAR_repository": "example/faultwatch",
        "TF_VAR_emails": '["oncall@example.com"]',
        "TF_VAR_admin_principal_arns": f'["arn:aws:iam::{ACCOUNT}:role/admin"]',
        "TF_VAR_public_access_cidrs": '["203.0.113.0/24"]',
    }


@pytest.fixture(scope="module")
def life(workplace: Workplace) -> Iterator[Life]:
    """The environment dev, made and unmade once for all tests here."""
    for name, text in overrides().items():
        (workplace.folder / name).write_text(text)
    (workplace.folder / DEV / "path_style_override.tf").write_text('provider "aws" {\n  s3_use_path_style = true\n}\n')
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MOTO_IAM_LOAD_MANAGED_POLICIES", "true")  # AWS's own, which roles are given
        with empty_aws() as server:
            yield live(workplace, server.endpoint)


def live(workplace: Workplace, endpoint: str) -> Life:
    """Make the environment, look at it, and unmake it."""
    bucket = make_state_bucket(lambda service: client_of(service, endpoint), s3.REGION)
    let_in(bucket, endpoint)
    told = variables(endpoint) | {"TF_VAR_state_bucket": bucket}
    there = workplace.with_variables(told)
    before = census(endpoint)
    backend = [f"bucket={bucket}", f"region={s3.REGION}", "use_path_style=true"]
    there.must(DEV, "init", "-lockfile=readonly", *(f"-backend-config={value}" for value in backend))
    try:
        there.must(DEV, "apply", "-auto-approve", "-parallelism=30", timeout=1200)
        during = census(endpoint)
        inbound = inbound_rules(endpoint)
        plan = there.terraform(DEV, "plan", "-no-color", "-detailed-exitcode", "-parallelism=30")
        state = json.loads(there.must(DEV, "show", "-json"))
        locked = plan_while_locked(there, endpoint, bucket)
    finally:
        there.must(DEV, "destroy", "-auto-approve", "-parallelism=30", timeout=1200)
    return Life(
        before=before,
        during=during,
        inbound=inbound,
        after=census(endpoint),
        state=state,
        second_plan=plan.stdout + plan.stderr,
        second_plan_code=plan.returncode,
        locked=locked,
        left_in_state=there.must(DEV, "state", "list"),
    )


def let_in(bucket: str, endpoint: str) -> None:
    """Take the policy from a bucket: moto denies everybody what it denies those without TLS (`policy_conditions`)."""
    client = client_of("s3", endpoint)
    client.delete_bucket_policy(Bucket=bucket)
    client.close()


def plan_while_locked(workplace: Workplace, endpoint: str, bucket: str) -> str:
    """What a plan says while somebody else holds the lock."""
    key = "faultwatch-dev/terraform.tfstate.tflock"
    client = client_of("s3", endpoint)
    lock = {"ID": "1", "Operation": "OperationTypeApply", "Who": "a@colleague", "Created": "2026-11-24T00:00:00Z"}
    client.put_object(Bucket=bucket, Key=key, Body=json.dumps(lock))
    done = workplace.terraform(DEV, "plan", "-no-color", "-refresh=false")
    client.delete_object(Bucket=bucket, Key=key)
    client.close()
    assert done.returncode == 1, done.stdout
    return done.stderr


def resources(state: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every resource in a state, whatever its module."""
    modules = [state["values"]["root_module"]]
    while modules:
        module = modules.pop()
        modules += module.get("child_modules", [])
        yield from module.get("resources", [])


def test_everything_that_is_counted_was_made(life: Life) -> None:
    assert [kind for kind in CENSUS if not life.during[kind] - life.before[kind]] == []


def test_a_second_plan_changes_nothing(life: Life) -> None:
    assert life.second_plan_code == 0, life.second_plan
    assert "No changes." in life.second_plan


def test_destroy_leaves_nothing(life: Life) -> None:
    assert life.after == life.before
    assert life.left_in_state.strip() == ""


def test_who_finds_the_state_locked_is_told_by_whom(life: Life) -> None:
    assert "Error acquiring the state lock" in life.locked
    assert "a@colleague" in life.locked


def test_no_policy_allows_everything_on_everything(life: Life) -> None:
    kinds = ("aws_iam_policy", "aws_iam_role_policy", "aws_s3_bucket_policy", "aws_sns_topic_policy")
    policies = {r["address"]: json.loads(r["values"]["policy"]) for r in resources(life.state) if r["type"] in kinds}
    assert len(policies) > 10
    allowed = [
        (where, statement)
        for where, policy in policies.items()
        for statement in policy["Statement"]
        if statement["Effect"] == "Allow"
    ]
    assert [where for where, statement in allowed if "*" in as_list(statement["Action"])] == []
    assert [where for where, statement in allowed if not as_list(statement["Resource"])] == []


def policies_of(life: Life, name: str) -> list[dict[str, Any]]:
    """The policies of a role of dev, or the one of that name."""
    kinds = {"aws_iam_policy": "name", "aws_iam_role_policy": "role"}
    return [
        json.loads(r["values"]["policy"])
        for r in resources(life.state)
        if r["type"] in kinds and r["values"][kinds[r["type"]]] == f"faultwatch-dev-{name}"
    ]


@pytest.mark.parametrize("role", sorted(COMMANDS))
def test_a_role_may_do_what_its_commands_ask_for(role: str, life: Life) -> None:
    wanted = {action for function in COMMANDS[role] for action in asked(function)}
    assert [action for action in sorted(wanted) if not allowed(policies_of(life, role), action)] == []
    assert not allowed(policies_of(life, role), "sagemaker:DeletePipeline"), "which no command asks for"


@pytest.mark.parametrize("role", sorted(SCRIPTS))
def test_a_role_may_do_what_its_scripts_ask_for(role: str, life: Life) -> None:
    wanted = {action for script in SCRIPTS[role] for action in asked_by_script(ROOT / "scripts" / script)}
    assert [action for action in sorted(wanted) if not allowed(policies_of(life, role), action)] == []


def test_no_role_is_an_administrators(life: Life) -> None:
    kind = "aws_iam_role_policy_attachment"
    attached = {r["values"]["policy_arn"].rpartition("/")[2] for r in resources(life.state) if r["type"] == kind}
    assert len(attached) > 5
    assert attached & {"AdministratorAccess", "IAMFullAccess", "PowerUserAccess"} == set()


def as_list(value: str | list[str]) -> list[str]:
    """Actions or resources of a statement, of which one may stand alone."""
    return [value] if isinstance(value, str) else value


def test_only_endpoints_are_connected_to_and_from_the_network_alone(life: Life) -> None:
    endpoints = life.inbound.pop("faultwatch-dev-endpoints")
    assert [[entry["CidrIp"] for entry in rule["IpRanges"]] for rule in endpoints] == [["10.40.0.0/16"]]
    others = ("default", "faultwatch-dev-fleet", "faultwatch-dev-jobs", "faultwatch-dev-runner")
    assert life.inbound == {name: [] for name in others}
