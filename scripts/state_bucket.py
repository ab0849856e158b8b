"""Make the bucket of Terraform's state, before there is any: `python -m scripts.state_bucket --region REGION`.

It has versions, is encrypted, closed to the public and to anything but TLS. What is there already is brought to the
same state, so a run that was broken off is simply repeated.
"""

import argparse
import json
import os
import sys
from collections.abc import Callable
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

from src.exceptions import ConfigError, StorageError

ClientOf = Callable[[str], Any]
KEYS = "sign in with `aws sso login`, or set AWS_PROFILE"
OLD_KEYS = ("ExpiredToken", "ExpiredTokenException", "InvalidClientTokenId", "SignatureDoesNotMatch")


def make_state_bucket(client_of: ClientOf, region: str, name: str | None = None) -> str:
    """Make the bucket, or bring one of this account to the same state; its name.

    `client_of` gives a client of an AWS service in `region`. Without a name it is faultwatch-state-ACCOUNT-REGION.
    Raises ConfigError where nobody is signed in, StorageError where the bucket is another account's or AWS refuses.
    """
    account = _account(client_of)
    bucket = name or f"faultwatch-state-{account}-{region}"
    s3 = client_of("s3")
    _make(s3, bucket, account, region)
    try:
        _close(s3, bucket, account)
    except ClientError as error:
        raise StorageError(
            f"the bucket {bucket} is there, but not closed yet: {error}. Ask for the right that is missing, then run"
            " this again; put no state into the bucket before"
        ) from error
    return bucket


def _account(client_of: ClientOf) -> str:
    """The account whose credentials are in use."""
    try:
        return str(client_of("sts").get_caller_identity()["Account"])
    except NoCredentialsError as error:
        raise ConfigError(f"no AWS credentials were found; {KEYS}") from error
    except ClientError as error:
        if error.response["Error"]["Code"] in OLD_KEYS:
            raise ConfigError(f"AWS does not take these credentials any more ({error}); {KEYS}") from error
        raise


def _make(s3: Any, bucket: str, account: str, region: str) -> None:
    where = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
    try:
        s3.create_bucket(Bucket=bucket, **where)
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code == "BucketAlreadyExists":
            raise StorageError(
                f"the bucket {bucket} belongs to another account; name one of your own with --name"
            ) from error
        if code != "BucketAlreadyOwnedByYou":
            raise StorageError(f"account {account} may not make the bucket {bucket}: {error}") from error


def _close(s3: Any, bucket: str, account: str) -> None:
    """Versions, encryption, no public, TLS only, old versions for 90 days; refused where the bucket is another's."""
    ours = {"Bucket": bucket, "ExpectedBucketOwner": account}
    s3.put_public_access_block(
        **ours,
        PublicAccessBlockConfiguration={
            "BlockPublicAcls": True,
            "BlockPublicPolicy": True,
            "IgnorePublicAcls": True,
            "RestrictPublicBuckets": True,
        },
    )
    s3.put_bucket_ownership_controls(**ours, OwnershipControls={"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]})
    s3.put_bucket_versioning(**ours, VersioningConfiguration={"Status": "Enabled"})
    s3.put_bucket_encryption(
        **ours,
        ServerSideEncryptionConfiguration={
            "Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}, "BucketKeyEnabled": True}]
        },
    )
    s3.put_bucket_policy(**ours, Policy=json.dumps(_tls_only(s3.meta.partition, bucket)))
    s3.put_bucket_lifecycle_configuration(
        **ours,
        LifecycleConfiguration={
            "Rules": [
                {
                    "ID": "old-versions",
                    "Status": "Enabled",
                    "Filter": {},
                    "NoncurrentVersionExpiration": {"NoncurrentDays": 90},
                }
            ]
        },
    )


def _tls_only(partition: str, bucket: str) -> dict[str, object]:
    arn = f"arn:{partition}:s3:::{bucket}"
    denied = {"Sid": "TlsOnly", "Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": [arn, f"{arn}/*"]}
    condition = {"Condition": {"Bool": {"aws:SecureTransport": "false"}}}
    return {"Version": "2012-10-17", "Statement": [denied | condition]}


def main() -> int:
    """Make it, and say how Terraform is told; the exit code: 0 it is there, 2 it is not."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--region", default=os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION"))
    parser.add_argument("--name", help="name of the bucket; faultwatch-state-ACCOUNT-REGION without it")
    asked = parser.parse_args()
    try:
        if not asked.region:
            raise ConfigError("no region was named; expected --region or AWS_REGION, such as eu-central-1")
        bucket = make_state_bucket(_clients(asked.region), asked.region, asked.name)
    except (BotoCoreError, ClientError, ConfigError, StorageError) as error:
        print(f"state bucket: {error}", file=sys.stderr)
        return 2
    print(f"{bucket} holds Terraform's state. Tell Terraform, once for each environment:\n")
    for environment in ("dev", "prod"):
        print(
            f"terraform -chdir=infrastructure/environments/{environment} init"
            f" -backend-config=bucket={bucket} -backend-config=region={asked.region}"
        )
    return 0


def _clients(region: str) -> ClientOf:
    """Clients that wait and try again where AWS asks for patience."""
    patient = Config(retries={"mode": "standard", "max_attempts": 8})
    return lambda service: boto3.client(service, region_name=region, config=patient)


if __name__ == "__main__":
    sys.exit(main())
