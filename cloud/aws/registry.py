"""SageMaker's registry of models: which packages there are of a device type, what each is, and who approved it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ...exceptions import ConfigError, ModelError
from .account import Account, asking
from .made import Made

ABOUT = "Device type: "
"""How the description of a package begins, by which the pipeline says what it is for."""

APPROVED, PENDING = "Approved", "PendingManualApproval"


@dataclass(frozen=True, slots=True)
class Package:
    """A registered model: where its archive is, `etag` of that when it was registered (empty where AWS doesn't say),
    what the pipeline noted beside it, and how it stands: `state`, by whom (empty where AWS doesn't say), and why."""

    arn: str
    type_name: str
    state: str
    by: str
    said: str
    archive: str
    etag: str
    noted: Mapping[str, str]

    @property
    def name(self) -> str:
        """Group and version, such as `faultwatch-dev/3`."""
        return self.arn.partition(":model-package/")[2] or self.arn


def newest_approved(account: Account, made: Made, type_name: str) -> str:
    """ARN of the newest approved model of a device type. Raises ConfigError where there is none."""
    group, wanted = made.sagemaker.model_package_group, f"{ABOUT}{type_name}"
    with asking(f"models of group {group}"):
        pages = account.client("sagemaker").get_paginator("list_model_packages")
        found = [
            package
            for page in pages.paginate(ModelPackageGroupName=group, ModelApprovalStatus=APPROVED)
            for package in page["ModelPackageSummaryList"]
            if package.get("ModelPackageDescription") == wanted
            and package.get("ModelApprovalStatus", APPROVED) == APPROVED
        ]
    if not found:
        raise ConfigError(
            f"group {group!r} has no approved model of device type {type_name!r}; `faultwatch cloud pipeline --start`"
            " trains one, and somebody approves it in SageMaker"
        )
    return str(max(found, key=lambda package: package["CreationTime"])["ModelPackageArn"])


def describe(account: Account, made: Made, arn: str) -> Package:
    """What the registry says of a package.

    Raises ConfigError where there is none, or it is no model of this environment's group.
    """
    with asking(f"model {arn}"):
        told = account.client("sagemaker").describe_model_package(ModelPackageName=arn)
    group = told.get("ModelPackageGroupName")
    if group != made.sagemaker.model_package_group:
        raise ConfigError(
            f"model {arn} is of group {group or 'none'}; expected {made.sagemaker.model_package_group}, the group of"
            " the environment that --made names"
        )
    containers = told.get("InferenceSpecification", {}).get("Containers", [])
    if len(containers) != 1 or not containers[0].get("ModelDataUrl"):
        raise ConfigError(f"model {arn} has {len(containers)} containers; expected one, with a model's archive")
    description = told.get("ModelPackageDescription", "")
    return Package(
        told["ModelPackageArn"],
        description.removeprefix(ABOUT) if description.startswith(ABOUT) else "",
        told.get("ModelApprovalStatus", PENDING),
        _who(told.get("LastModifiedBy") or {}),
        told.get("ApprovalDescription") or "",
        containers[0]["ModelDataUrl"],
        containers[0].get("ModelDataETag", "").strip('"'),
        told.get("CustomerMetadataProperties") or {},
    )


def must_be_approved(package: Package) -> None:
    """Raise ModelError where nobody has approved a model, which says how that is done."""
    if package.state == APPROVED:
        return
    if package.state == PENDING:
        raise ModelError(
            f"model {package.name} waits for approval; look at its evaluation, then approve it in SageMaker, or with"
            f" aws sagemaker update-model-package --model-package-arn {package.arn} --model-approval-status {APPROVED}"
        )
    by = f" by {package.by}" if package.by else ""
    said = f" ({package.said})" if package.said else ""
    raise ModelError(
        f"model {package.name} is {package.state.lower()}{by}{said}; name an approved one with --model, or train again"
        " with `faultwatch cloud pipeline --start`"
    )


def _who(told: Mapping[str, Any]) -> str:
    """Who last changed a package, as far as AWS says."""
    identity: Mapping[str, str] = told.get("IamIdentity") or {}
    return str(identity.get("Arn") or told.get("UserProfileArn") or told.get("UserProfileName") or "")
