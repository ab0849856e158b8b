"""What is refused, and that the how-to has what Terraform says then, with what to do."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ..checkout import ROOT
from ..systems import s3
from .aws import client_of, empty_aws, refusing_aws
from .conftest import Workplace, workplace_in
from .test_apply import DEV, variables

pytestmark = pytest.mark.infra

PAGE = (ROOT / "docs" / "how-to" / "deploy-aws.md").read_text(encoding="utf-8")
DOCUMENTED = re.findall(
    r"`([^`]+)`", " ".join(re.findall(r"^\| (`[^|]+) \|", PAGE.partition("## When it is refused")[2], re.M))
)
BUCKET = "module.faultwatch.module.model_bucket.module.bucket.aws_s3_bucket.this"
REGISTRY = "module.faultwatch.module.ecr.aws_ecr_repository.this"


@pytest.fixture(scope="module")
def server() -> Iterator[s3.Server]:
    """An AWS of this module's own."""
    with empty_aws() as server:
        yield server


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory, server: s3.Server) -> Workplace:
    """dev with its state on the disk, ready to be planned."""
    place = workplace_in(tmp_path_factory.mktemp("messages")).with_variables(variables(server.endpoint))
    text = 'terraform {\n  backend "local" {}\n}\n\nprovider "aws" {\n  s3_use_path_style = true\n}\n'
    (place.folder / DEV / "local_override.tf").write_text(text)
    place.must(DEV, "init", "-lockfile=readonly")
    return place


def refusal(place: Workplace, *arguments: str) -> str:
    """What a command says that is refused, without the box that Terraform draws around it."""
    done = place.terraform(DEV, *arguments)
    assert done.returncode == 1, done.stdout
    return " ".join(re.sub("[│╷╵]", " ", done.stderr).split())


def plan(place: Workplace, target: str = REGISTRY) -> str:
    """The refusal of a plan of one thing."""
    return refusal(place, "plan", "-no-color", f"-target={target}")


def apply(place: Workplace, target: str) -> str:
    """The refusal of an apply of one thing."""
    return refusal(place, "apply", "-no-color", "-auto-approve", f"-target={target}")


def nobody_is_signed_in(dev: Workplace, server: s3.Server) -> str:
    return plan(dev.with_variables({"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}))


def signed_in_elsewhere(dev: Workplace, server: s3.Server) -> str:
    return plan(dev.with_variables({"TF_VAR_account_id": "210987654321"}))


def no_region(dev: Workplace, server: s3.Server) -> str:
    without = {name: value for name, value in dev.variables.items() if name != "TF_VAR_region"}
    return plan(Workplace(dev.folder, without))


def a_region_that_is_none(dev: Workplace, server: s3.Server) -> str:
    return plan(dev.with_variables({"TF_VAR_region": "Frankfurt"}))


def another_accounts_bucket(dev: Workplace, server: s3.Server) -> str:
    other = client_of("sts", server.endpoint)
    role = other.assume_role(RoleArn="arn:aws:iam::210987654321:role/other", RoleSessionName="other")["Credentials"]
    theirs = client_of("s3", server.endpoint, keys=(role["AccessKeyId"], role["SecretAccessKey"]))
    where = {"LocationConstraint": s3.REGION}
    theirs.create_bucket(Bucket="faultwatch-dev-models-123456789012", CreateBucketConfiguration=where)
    for client in (other, theirs):
        client.close()
    return apply(dev, BUCKET)


def a_name_that_is_taken(dev: Workplace, server: s3.Server) -> str:
    registry = client_of("ecr", server.endpoint)
    registry.create_repository(repositoryName="faultwatch-dev")
    registry.close()
    return apply(dev, REGISTRY)


def a_sign_in_that_is_over(dev: Workplace, server: s3.Server) -> str:
    with refusing_aws("ExpiredToken", 403, 1000, server.endpoint) as front:
        return plan(dev.with_variables({"AWS_ENDPOINT_URL": front.endpoint}))


def a_key_that_is_gone(dev: Workplace, server: s3.Server) -> str:
    with refusing_aws("InvalidClientTokenId", 403, 1000, server.endpoint) as front:
        return plan(dev.with_variables({"AWS_ENDPOINT_URL": front.endpoint}))


CASES: list[tuple[Callable[[Workplace, s3.Server], str], str]] = [
    (nobody_is_signed_in, "No valid credential sources found"),
    (a_sign_in_that_is_over, "ExpiredToken"),
    (a_key_that_is_gone, "InvalidClientTokenId"),
    (signed_in_elsewhere, "AWS account ID not allowed"),
    (no_region, "No value for required variable"),
    (a_region_that_is_none, "region must be the name of an AWS region"),
    (another_accounts_bucket, "BucketAlreadyExists"),
    (a_name_that_is_taken, "already exists"),
]


@pytest.mark.parametrize(("case", "words"), CASES, ids=lambda value: getattr(value, "__name__", None))
def test_a_refusal_is_in_the_how_to(
    case: Callable[[Workplace, s3.Server], str], words: str, dev: Workplace, server: s3.Server
) -> None:
    assert words in case(dev, server)
    assert words in DOCUMENTED


def test_what_aws_throttles_is_asked_again(dev: Workplace, server: s3.Server) -> None:
    with refusing_aws("Throttling", 400, 2, server.endpoint) as front:
        said = dev.with_variables({"AWS_ENDPOINT_URL": front.endpoint}).must(DEV, "plan", f"-target={REGISTRY}")
    assert len(front.seen) > 2 and "to add" in said
    assert "Throttled calls are repeated by themselves" in PAGE


def test_a_state_bucket_that_is_not_there(tmp_path: Path, server: s3.Server) -> None:
    place = workplace_in(tmp_path).with_variables(variables(server.endpoint))
    backend = ["bucket=faultwatch-state-nowhere", f"region={s3.REGION}", "use_path_style=true"]
    said = refusal(place, "init", "-no-color", *(f"-backend-config={value}" for value in backend))
    assert re.search('S3 bucket "?faultwatch-state-nowhere"? does not exist', said)
    assert "S3 bucket does not exist" in DOCUMENTED


def test_an_apply_that_broke_off_goes_on_where_it_stopped(dev: Workplace, server: s3.Server) -> None:
    registry = client_of("ecr", server.endpoint)
    if not registry.describe_repositories()["repositories"]:
        registry.create_repository(repositoryName="faultwatch-dev")
    group = "module.faultwatch.module.sagemaker.aws_security_group.jobs"
    both = ("apply", "-no-color", "-auto-approve", f"-target={group}", f"-target={REGISTRY}")
    assert "already exists" in refusal(dev, *both)
    assert group in dev.must(DEV, "state", "list")
    registry.delete_repository(repositoryName="faultwatch-dev")
    registry.close()
    assert "Apply complete! Resources: 1 added, 0 changed, 0 destroyed." in dev.must(DEV, *both)
