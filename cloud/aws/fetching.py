"""Reads from buckets of an environment: one file, or the files of one folder, of no more bytes than expected."""

from pathlib import Path
from typing import Any

from ...exceptions import ConfigError, ModelError
from .account import Account, asking

MOST_BYTES = 1 << 30
"""More than any model or its evidence has."""

MOST_FILES = 100
CHUNK = 1 << 20


def place_of(uri: str) -> tuple[str, str]:
    """Bucket and key of an address of S3. Raises ConfigError where it is none."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    if not uri.startswith("s3://") or not bucket or not key.strip("/"):
        raise ConfigError(f"address {uri!r}; expected s3://BUCKET/KEY")
    return bucket, key


def fetch_file(account: Account, owner: str, uri: str, target: Path, etag: str = "") -> Path:
    """Copy a file of an account's bucket to `target`, and return it.

    Raises ModelError where it isn't the one whose `etag` is given, or is larger than anything that is expected; and
    what `asking` raises.
    """
    bucket, key = place_of(uri)
    with asking(uri):
        found = account.client("s3").get_object(Bucket=bucket, Key=key, ExpectedBucketOwner=owner)
        there = str(found["ETag"]).strip('"')
        if etag and there != etag:
            raise ModelError(f"{uri} was changed after the model was registered ({there}, not {etag}); train again")
        _write(found, target, uri)
    return target


def fetch_folder(account: Account, owner: str, uri: str, target: Path) -> Path:
    """Copy the files right below an address to the folder `target`, and return it.

    Raises ModelError where there are none, or more than are expected; and what `asking` raises.
    """
    bucket, key = place_of(uri)
    below = f"{key.rstrip('/')}/"
    client = account.client("s3")
    target.mkdir(parents=True, exist_ok=True)
    with asking(uri):
        pages = client.get_paginator("list_objects_v2").paginate(
            Bucket=bucket, Prefix=below, Delimiter="/", ExpectedBucketOwner=owner
        )
        names = [item["Key"].removeprefix(below) for page in pages for item in page.get("Contents", ())]
    if not names or len(names) > MOST_FILES:
        raise ModelError(f"{uri} holds {len(names)} files; expected those that a step of the pipeline left there")
    for name in filter(None, names):
        fetch_file(account, owner, f"s3://{bucket}/{below}{name}", target / name)
    return target


def _write(found: dict[str, Any], target: Path, uri: str) -> None:
    if found["ContentLength"] > MOST_BYTES:
        raise ModelError(f"{uri} has {found['ContentLength']:,} bytes; expected {MOST_BYTES:,} at most")
    with target.open("wb") as file:
        for chunk in found["Body"].iter_chunks(CHUNK):
            file.write(chunk)
