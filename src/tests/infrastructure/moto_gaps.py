"""What moto can't do yet of what infrastructure/ asks of AWS, and what is left out of the apply against it for that.

An override file of Terraform says it, laid into a copy of the module. What is left out is held by the assertions in
infrastructure/tests. Each gap is probed by `test_moto_gaps.py`, whose test fails once moto has learnt it.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Gap:
    """A thing that moto lacks: what it does instead, the module that asks for it, and what is overridden there."""

    instead: str
    module: str
    override: str


def _none_of(kind: str, name: str) -> str:
    return f'resource "{kind}" "{name}" {{\n  for_each = toset([])\n}}\n'


def _no(kind: str, name: str) -> str:
    return f'resource "{kind}" "{name}" {{\n  count = 0\n}}\n'


def _without_block(kind: str, name: str, block: str) -> str:
    return f'resource "{kind}" "{name}" {{\n  dynamic "{block}" {{\n    for_each = []\n    content {{}}\n  }}\n}}\n'


GAPS = {
    "access_entries": Gap(
        "answers 404 to CreateAccessEntry",
        "sensor_eks",
        "".join(
            _none_of(kind, name)
            for kind in ("aws_eks_access_entry", "aws_eks_access_policy_association")
            for name in ("admin", "deployer")
        ),
    ),
    "addons": Gap(
        "answers 404 to CreateAddon",
        "sensor_eks",
        _none_of("aws_eks_addon", "before_nodes") + _none_of("aws_eks_addon", "after_nodes"),
    ),
    "pod_identity": Gap(
        "answers 404 to CreatePodIdentityAssociation",
        "sensor_eks",
        "".join(_no("aws_eks_pod_identity_association", name) for name in ("load_balancer", "secrets", "workload")),
    ),
    "cluster_access_config": Gap(
        "forgets a cluster's access configuration, so that every plan replaces it",
        "sensor_eks",
        _without_block("aws_eks_cluster", "this", "access_config"),
    ),
    "cluster_upgrade_policy": Gap(
        "forgets a cluster's upgrade policy",
        "sensor_eks",
        _without_block("aws_eks_cluster", "this", "upgrade_policy"),
    ),
    "cluster_security_group": Gap(
        "makes no security group for a cluster",
        "sensor_eks",
        'resource "aws_vpc_security_group_ingress_rule" "api" {\n  for_each = {}\n}\n',
    ),
    "cluster_security_group_of_clients": Gap(
        "makes no security group for a cluster",
        "sensor_database",
        'resource "aws_vpc_security_group_ingress_rule" "clients" {\n  for_each = {}\n}\n',
    ),
    "node_group_template": Gap(
        "gives a node group that has a launch template an SSH key, so that every plan replaces it",
        "sensor_eks",
        _no("aws_eks_node_group", "this"),
    ),
    "performance_insights": Gap(
        "forgets that Performance Insights are on",
        "sensor_database",
        'resource "aws_db_instance" "this" {\n  performance_insights_enabled    = false\n'
        "  performance_insights_kms_key_id = null\n}\n",
    ),
    "database_parameters": Gap(
        "does not say of a group's parameters that a user set them, so that Terraform takes them for AWS's own",
        "sensor_database",
        _without_block("aws_db_parameter_group", "this", "parameter"),
    ),
    "instance_lifetime": Gap(
        "forgets how long an autoscaling group lets a machine live",
        "sensor_ec2",
        'resource "aws_autoscaling_group" "this" {\n  max_instance_lifetime = 0\n}\n',
    ),
    "template_tags": Gap(
        "counts a launch template's own tags among those of its machines",
        "environments/dev",
        'provider "aws" {\n  default_tags {\n    tags = {}\n  }\n}\n',
    ),
    "group_to_group_description": Gap(
        "forgets the description of a rule outwards that names a security group",
        "sensor_sagemaker",
        _no("aws_vpc_security_group_egress_rule", "database"),
    ),
    "model_package_group": Gap(
        "answers 500 to DeleteModelPackageGroup",
        "sensor_sagemaker",
        _no("aws_sagemaker_model_package_group", "this"),
    ),
    "budgets": Gap(
        "answers 500 to DescribeSubscribersForNotification",
        "sensor_monitoring",
        _no("aws_budgets_budget", "month"),
    ),
}


POLICY_CONDITIONS = "policy_conditions"
"""One more, of the simulator's own account and no module: moto takes what a bucket's policy denies on a condition for
denied always. So the policy of the state's bucket, which denies all that isn't TLS, is taken away before the apply."""


def overrides() -> dict[str, str]:
    """The override files by their path, one for each gap."""
    texts: dict[str, list[str]] = {}
    for gap in GAPS.values():
        texts.setdefault(gap.module, []).append(gap.override)
    return {
        f"{module}/moto_{number}_override.tf": text for module, of in texts.items() for number, text in enumerate(of)
    }
