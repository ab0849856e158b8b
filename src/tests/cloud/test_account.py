"""What an error of AWS means, and what to do: told in one line."""

import os
import sys
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from ...cloud.aws.account import Account, asking
from ...cloud.aws.secret import sign_in
from ...exceptions import AccessError, ConfigError, ConflictError, FaultwatchError, StorageError
from ...settings import Settings
from ..infrastructure.aws import refusing_aws
from ..systems import s3
from .environments import ACCOUNT


@pytest.fixture(scope="module")
def stubbed() -> Iterator[tuple[Account, Stubber]]:
    """An account whose SageMaker says what it is told to, and never the network."""
    with pytest.MonkeyPatch.context() as environment:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            environment.setenv(name, "testing")
        with Account("eu-central-1") as account, Stubber(account.client("sagemaker")) as stub:
            account.client("s3")
            yield account, stub


@pytest.mark.parametrize(
    ("code", "kind", "words"),
    [
        ("ExpiredTokenException", AccessError, "your sign-in is over; sign in again"),
        ("UnrecognizedClientException", AccessError, "AWS doesn't know this key; sign in again"),
        ("AccessDeniedException", AccessError, "your role lacks the right; set AWS_PROFILE .* or have the right added"),
        ("ThrottlingException", StorageError, "5 times: too many requests; wait a minute and repeat"),
        ("ResourceLimitExceeded", StorageError, "a quota of the account; ask for more in Service Quotas"),
        ("ConflictException", ConflictError, "the name is taken, or it is in use"),
        ("ResourceNotFound", ConfigError, "there is none of that name; apply infrastructure/ first"),
        ("ValidationException", ConfigError, r"\(no\)$"),
    ],
)
def test_each_error_says_what_to_do(
    stubbed: tuple[Account, Stubber], code: str, kind: type[FaultwatchError], words: str
) -> None:
    account, stub = stubbed
    stub.add_client_error("describe_pipeline", code, "no", expected_params={"PipelineName": "training"})
    with pytest.raises(kind, match=f"^pipeline training: AWS said {code} .*{words}"), asking("pipeline training"):
        account.client("sagemaker").describe_pipeline(PipelineName="training")


def test_a_bucket_of_another_owner_is_told(stubbed: tuple[Account, Stubber]) -> None:
    account, _ = stubbed
    with Stubber(account.client("s3")) as store:
        expected = {"Bucket": "models", "ExpectedBucketOwner": "123456789012"}
        store.add_client_error("head_bucket", "403", "Forbidden", http_status_code=403, expected_params=expected)
        with pytest.raises(AccessError, match="bucket models of account 123456789012: .* it is another account's, or"):
            account.must_own("models", "123456789012")


def test_what_is_throttled_is_asked_again(moto_server: s3.Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    with refusing_aws("Throttling", 400, 2, moto_server.endpoint) as front:
        monkeypatch.setenv("AWS_ENDPOINT_URL", front.endpoint)
        with Account() as account:
            assert account.number() == ACCOUNT
    assert len(front.seen) == 3


def nobody(monkeypatch: pytest.MonkeyPatch, **environment: str) -> None:
    """An environment in which nobody is signed in."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": "/nonexistent",
        "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent",
        **environment,
    }.items():
        monkeypatch.setenv(name, value)


def test_nobody_signed_in_no_region_and_no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    nobody(monkeypatch)
    with Account() as account, pytest.raises(ConfigError, match="no region, or none of that name; set AWS_REGION"):
        account.client("sagemaker")
    with (
        Account("eu-central-1") as account,
        pytest.raises(AccessError, match="nobody is signed in to AWS .* aws sso login"),
    ):
        account.number()
    nobody(monkeypatch, AWS_PROFILE="nobody")
    with Account("eu-central-1") as account, pytest.raises(ConfigError, match="`aws configure list-profiles` lists"):
        account.number()
    nobody(
        monkeypatch,
        AWS_ACCESS_KEY_ID="a",
        AWS_SECRET_ACCESS_KEY="b",
        AWS_ENDPOINT_URL="http://127.0.0.1:9",
        AWS_MAX_ATTEMPTS="1",
    )
    with Account("eu-central-1") as account, pytest.raises(StorageError, match="AWS can't be reached .* then repeat"):
        account.number()


def test_without_boto3_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "boto3", None)
    with Account() as account, pytest.raises(ConfigError, match=r"pip install 'faultwatch\[aws\]'"):
        account.client("sagemaker")


def test_the_database_is_signed_in_to_by_a_secret_that_no_definition_shows(
    moto_server: s3.Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    secrets: Any = boto3.client("secretsmanager")
    secrets.create_secret(Name="good", SecretString='{"username": "ann", "password": "p/w", "engine": "postgres"}')
    secrets.create_secret(Name="bad", SecretString="p/w")
    secrets.close()
    monkeypatch.setenv("PGUSER", "")
    monkeypatch.setenv("PGPASSWORD", "")
    sign_in(Settings(database_secret="good"))
    assert (os.environ["PGUSER"], os.environ["PGPASSWORD"]) == ("ann", "p/w")
    with pytest.raises(ConfigError, match="secret bad: expected `username` and `password` as JSON") as told:
        sign_in(Settings(database_secret="bad"))
    assert "p/w" not in str(told.value)
    with pytest.raises(ConfigError, match="secret nowhere: AWS said ResourceNotFoundException"):
        sign_in(Settings(database_secret="nowhere"))
