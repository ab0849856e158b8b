"""The AWS that tests talk to: moto on the loopback, its account, and clients of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3
import httpx
from botocore.config import Config

from ..systems import s3

ACCOUNT = "123456789012"


def client_of(
    service: str, endpoint: str, tries: int = 3, keys: tuple[str, str] = (s3.ACCESS_KEY, s3.ACCESS_KEY)
) -> Any:
    """A client of a service; close it, or its connection is a warning."""
    return boto3.client(
        service,
        endpoint_url=endpoint,
        region_name=s3.REGION,
        aws_access_key_id=keys[0],
        aws_secret_access_key=keys[1],
        config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": tries}),
    )


@contextmanager
def empty_aws() -> Iterator[s3.Server]:
    """A server with nothing in it: all servers of a process share what they hold, so it is thrown away first."""
    with s3.running_server() as server:
        httpx.post(f"{server.endpoint}/moto-api/reset", timeout=120).raise_for_status()
        yield server
