"""Each gap of moto is still there: a test here fails once moto has learnt it, and its gap is to be removed."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from ..systems import s3
from .aws import ACCOUNT, client_of, empty_aws
from .moto_gaps import GAPS, POLICY_CONDITIONS

pytestmark = pytest.mark.infra
ROLE = f"arn:aws:iam::{ACCOUNT}:role/faultwatch"
Probe = Callable[[Callable[[str], Any]], bool]
PROBES: dict[str, Probe] = {}


def probe(name: str) -> Callable[[Probe], Probe]:
    """Register the probe of a gap: whether moto can do it by now."""

    def register(function: Probe) -> Probe:
        PROBES[name] = function
        return function

    return register


def answers(call: Callable[[], object]) -> bool:
    """Whether a call is answered and not refused."""
    try:
        call()
    except (BotoCoreError, ClientError):
        return False
    return True


def cluster(of: Callable[[str], Any], name: str) -> dict[str, Any]:
    """A cluster as moto describes it, made with all that is asked of one."""
    of("eks").create_cluster(
        name=name,
        roleArn=ROLE,
        resourcesVpcConfig={
            "subnetIds": [subnet["SubnetId"] for subnet in of("ec2").describe_subnets()["Subnets"][:2]]
        },
        accessConfig={"authenticationMode": "API", "bootstrapClusterCreatorAdminPermissions": False},
        upgradePolicy={"supportType": "STANDARD"},
    )
    described: dict[str, Any] = of("eks").describe_cluster(name=name)["cluster"]
    return described


@probe("access_entries")
def _(of: Callable[[str], Any]) -> bool:
    cluster(of, "entries")
    return answers(lambda: of("eks").create_access_entry(clusterName="entries", principalArn=ROLE))


@probe("addons")
def _(of: Callable[[str], Any]) -> bool:
    cluster(of, "addons")
    return answers(lambda: of("eks").create_addon(clusterName="addons", addonName="coredns"))


@probe("pod_identity")
def _(of: Callable[[str], Any]) -> bool:
    cluster(of, "identity")
    pod = {"namespace": "faultwatch", "serviceAccount": "faultwatch", "roleArn": ROLE}
    return answers(lambda: of("eks").create_pod_identity_association(clusterName="identity", **pod))


@probe("cluster_access_config")
def _(of: Callable[[str], Any]) -> bool:
    return "accessConfig" in cluster(of, "access")


@probe("cluster_upgrade_policy")
def _(of: Callable[[str], Any]) -> bool:
    return "upgradePolicy" in cluster(of, "upgrades")


@probe("cluster_security_group")
def _(of: Callable[[str], Any]) -> bool:
    return bool(cluster(of, "group")["resourcesVpcConfig"].get("clusterSecurityGroupId"))


PROBES["cluster_security_group_of_clients"] = lambda of: bool(
    cluster(of, "clients")["resourcesVpcConfig"].get("clusterSecurityGroupId")
)


@probe("node_group_template")
def _(of: Callable[[str], Any]) -> bool:
    cluster(of, "nodes")
    template = of("ec2").create_launch_template(LaunchTemplateName="nodes", LaunchTemplateData={"EbsOptimized": True})
    group = of("eks").create_nodegroup(
        clusterName="nodes",
        nodegroupName="nodes",
        nodeRole=ROLE,
        subnets=["subnet-1"],
        launchTemplate={"id": template["LaunchTemplate"]["LaunchTemplateId"], "version": "1"},
    )
    return "remoteAccess" not in group["nodegroup"]


@probe("performance_insights")
def _(of: Callable[[str], Any]) -> bool:
    made = of("rds").create_db_instance(
        DBInstanceIdentifier="insights",
        Engine="postgres",
        DBInstanceClass="db.t4g.micro",
        AllocatedStorage=20,
        MasterUsername="faultwatch",
        ManageMasterUserPassword=True,
        EnablePerformanceInsights=True,
    )
    return bool(made["DBInstance"].get("PerformanceInsightsEnabled"))


@probe("database_parameters")
def _(of: Callable[[str], Any]) -> bool:
    rds, name = of("rds"), "parameters"
    rds.create_db_parameter_group(DBParameterGroupName=name, DBParameterGroupFamily="postgres17", Description=name)
    parameter = {"ParameterName": "rds.force_ssl", "ParameterValue": "1", "ApplyMethod": "immediate"}
    rds.modify_db_parameter_group(DBParameterGroupName=name, Parameters=[parameter])
    described = rds.describe_db_parameters(DBParameterGroupName=name, Source="user")["Parameters"]
    return [one.get("Source") for one in described] == ["user"]


@probe("instance_lifetime")
def _(of: Callable[[str], Any]) -> bool:
    group, data = of("autoscaling"), {"ImageId": "resolve:ssm:/aws/service/x", "InstanceType": "t4g.large"}
    of("ec2").create_launch_template(LaunchTemplateName="lifetime", LaunchTemplateData=data)
    group.create_auto_scaling_group(
        AutoScalingGroupName="lifetime",
        LaunchTemplate={"LaunchTemplateName": "lifetime", "Version": "1"},
        MinSize=0,
        MaxSize=1,
        AvailabilityZones=[f"{s3.REGION}a"],
        MaxInstanceLifetime=86400,
    )
    return "MaxInstanceLifetime" in group.describe_auto_scaling_groups()["AutoScalingGroups"][0]


@probe("template_tags")
def _(of: Callable[[str], Any]) -> bool:
    ec2, tags = of("ec2"), [{"Key": "Project", "Value": "faultwatch"}]
    ec2.create_launch_template(
        LaunchTemplateName="tags",
        LaunchTemplateData={"EbsOptimized": True},
        TagSpecifications=[{"ResourceType": "launch-template", "Tags": tags}],
    )
    version = ec2.describe_launch_template_versions(LaunchTemplateName="tags")["LaunchTemplateVersions"][0]
    return not version["LaunchTemplateData"].get("TagSpecifications")


@probe("group_to_group_description")
def _(of: Callable[[str], Any]) -> bool:
    ec2 = of("ec2")
    group = ec2.create_security_group(GroupName="jobs", Description="jobs")["GroupId"]
    pair = {"GroupId": group, "Description": "PostgreSQL"}
    rule = {"IpProtocol": "tcp", "FromPort": 5432, "ToPort": 5432, "UserIdGroupPairs": [pair]}
    ec2.authorize_security_group_egress(GroupId=group, IpPermissions=[rule])
    rules = ec2.describe_security_group_rules(Filters=[{"Name": "group-id", "Values": [group]}])["SecurityGroupRules"]
    return any(one.get("Description") == "PostgreSQL" for one in rules)


@probe("model_package_group")
def _(of: Callable[[str], Any]) -> bool:
    of("sagemaker").create_model_package_group(ModelPackageGroupName="models")
    return answers(lambda: of("sagemaker").delete_model_package_group(ModelPackageGroupName="models"))


@probe("budgets")
def _(of: Callable[[str], Any]) -> bool:
    notice = {"NotificationType": "ACTUAL", "ComparisonOperator": "GREATER_THAN", "Threshold": 80.0}
    budget = {
        "BudgetName": "month",
        "BudgetType": "COST",
        "TimeUnit": "MONTHLY",
        "BudgetLimit": {"Amount": "9", "Unit": "USD"},
    }
    told = {"Notification": notice, "Subscribers": [{"SubscriptionType": "EMAIL", "Address": "oncall@example.com"}]}
    of("budgets").create_budget(AccountId=ACCOUNT, Budget=budget, NotificationsWithSubscribers=[told])
    ours = {"AccountId": ACCOUNT, "BudgetName": "month", "Notification": notice}
    return answers(lambda: of("budgets").describe_subscribers_for_notification(**ours))


@probe(POLICY_CONDITIONS)
def _(of: Callable[[str], Any]) -> bool:
    bucket, store = "conditions", of("s3")
    store.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": s3.REGION})
    store.put_object(Bucket=bucket, Key="state", Body=b"{}")
    of_nobody = {"StringEquals": {"aws:PrincipalAccount": "000000000000"}}
    denied = {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": f"arn:aws:s3:::{bucket}/*"}
    policy = {"Version": "2012-10-17", "Statement": [denied | {"Condition": of_nobody}]}
    store.put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy))
    return answers(lambda: store.get_object(Bucket=bucket, Key="state"))


@pytest.fixture(scope="module")
def aws() -> Iterator[Callable[[str], Any]]:
    """Clients of an AWS of this module's own, by service; none tries twice."""
    clients: dict[str, Any] = {}
    with empty_aws() as server:

        def of(service: str) -> Any:
            if service not in clients:
                clients[service] = client_of(service, server.endpoint, tries=1)
            return clients[service]

        yield of
        for client in clients.values():
            client.close()


@pytest.mark.parametrize("name", sorted(PROBES))
def test_moto_has_not_learnt_it_yet(name: str, aws: Callable[[str], Any]) -> None:
    assert not PROBES[name](aws), f"moto has learnt {name}: take it out of moto_gaps.py, so that it is applied"


def test_every_gap_is_probed() -> None:
    assert set(PROBES) == {*GAPS, POLICY_CONDITIONS}
