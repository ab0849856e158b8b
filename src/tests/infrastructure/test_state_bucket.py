"""The bucket of Terraform's state: made closed, made once, and refused with words that say what to do."""

import json
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from scripts.state_bucket import make_state_bucket

from ..checkout import run
from ..systems import s3
from .aws import ACCOUNT, client_of

SCRIPT = ["-m", "scripts.state_bucket"]
NOBODY = {
    "AWS_ACCESS_KEY_ID": "",
    "AWS_SECRET_ACCESS_KEY": "",
    "AWS_SESSION_TOKEN": "",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": "/nowhere",
    "AWS_SHARED_CREDENTIALS_FILE": "/nowhere",
}


@pytest.fixture
def aws(s3_server: s3.Server) -> Iterator[Callable[[str], Any]]:
    """Clients of moto by service."""
    clients: list[Any] = []

    def of(service: str) -> Any:
        clients.append(client_of(service, s3_server.endpoint))
        return clients[-1]

    yield of
    for client in clients:
        client.close()


def test_it_is_closed_encrypted_and_keeps_versions(aws: Callable[[str], Any]) -> None:
    name = make_state_bucket(aws, s3.REGION, "faultwatch-state-closed")
    store = aws("s3")
    assert store.get_bucket_versioning(Bucket=name)["Status"] == "Enabled"
    assert set(store.get_public_access_block(Bucket=name)["PublicAccessBlockConfiguration"].values()) == {True}
    rule = store.get_bucket_encryption(Bucket=name)["ServerSideEncryptionConfiguration"]["Rules"][0]
    assert rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "aws:kms"
    denied = json.loads(store.get_bucket_policy(Bucket=name)["Policy"])["Statement"][0]
    assert (denied["Effect"], denied["Condition"]) == ("Deny", {"Bool": {"aws:SecureTransport": "false"}})


def test_a_run_that_broke_off_is_repeated(aws: Callable[[str], Any]) -> None:
    where = {"LocationConstraint": s3.REGION}
    aws("s3").create_bucket(Bucket=f"faultwatch-state-{ACCOUNT}-{s3.REGION}", CreateBucketConfiguration=where)
    assert make_state_bucket(aws, s3.REGION) == make_state_bucket(aws, s3.REGION)
    assert aws("s3").get_bucket_versioning(Bucket=f"faultwatch-state-{ACCOUNT}-{s3.REGION}")["Status"] == "Enabled"


def test_the_command_says_how_terraform_is_told(s3_server: s3.Server) -> None:
    keys = {"AWS_ENDPOINT_URL": s3_server.endpoint, "AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}
    done = run([sys.executable, *SCRIPT, "--region", s3.REGION, "--name", "faultwatch-state-said"], env=NOBODY | keys)
    assert done.returncode == 0, done.stderr
    assert (
        "terraform -chdir=infrastructure/environments/dev init"
        f" -backend-config=bucket=faultwatch-state-said -backend-config=region={s3.REGION}"
    ) in done.stdout


def test_another_accounts_bucket_is_not_touched(aws: Callable[[str], Any], s3_server: s3.Server) -> None:
    where = {"LocationConstraint": s3.REGION}
    aws("s3").create_bucket(Bucket="faultwatch-state-taken", CreateBucketConfiguration=where)
    role = aws("sts").assume_role(RoleArn="arn:aws:iam::210987654321:role/other", RoleSessionName="other")[
        "Credentials"
    ]
    keys = {
        "AWS_ENDPOINT_URL": s3_server.endpoint,
        "AWS_ACCESS_KEY_ID": role["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": role["SecretAccessKey"],
        "AWS_SESSION_TOKEN": role["SessionToken"],
    }
    done = run([sys.executable, *SCRIPT, "--region", s3.REGION, "--name", "faultwatch-state-taken"], env=NOBODY | keys)
    assert done.returncode == 2
    assert "the bucket faultwatch-state-taken belongs to another account; name one of your own" in done.stderr
    assert "Status" not in aws("s3").get_bucket_versioning(Bucket="faultwatch-state-taken")


def test_nobody_signed_in_is_said() -> None:
    done = run([sys.executable, *SCRIPT, "--region", s3.REGION], env=NOBODY)
    assert done.returncode == 2
    assert "no AWS credentials were found; sign in with `aws sso login`" in done.stderr


def test_no_region_is_said() -> None:
    done = run([sys.executable, *SCRIPT], env=NOBODY | {"AWS_REGION": "", "AWS_DEFAULT_REGION": ""})
    assert done.returncode == 2
    assert "no region was named; expected --region or AWS_REGION, such as eu-central-1" in done.stderr
