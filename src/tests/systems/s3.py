"""An S3 server on the loopback (moto), for the lake at an s3:// address."""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

ACCESS_KEY = "testing"
REGION = "eu-central-1"


@dataclass(frozen=True)
class Bucket:
    """An empty bucket and how to reach it."""

    name: str
    endpoint: str

    @property
    def url(self) -> str:
        """Address of the bucket, the root of a lake."""
        return f"s3://{self.name}"

    @property
    def environment(self) -> dict[str, str]:
        """The AWS_* variables that boto3 and delta-rs read; also fit as delta-rs storage options."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": ACCESS_KEY,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ALLOW_HTTP": "true",
        }


@dataclass(frozen=True)
class Server:
    """A running S3 server that hands out empty buckets."""

    endpoint: str
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1), repr=False)

    def bucket(self) -> Bucket:
        """A new bucket."""
        import boto3

        name = f"faultwatch-test-{next(self._numbers)}"
        client = boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            region_name=REGION,
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=ACCESS_KEY,
        )
        client.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
        client.close()
        return Bucket(name, self.endpoint)


@contextmanager
def running_server() -> Iterator[Server]:
    """A server in a thread of this process, on a free port."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield Server(f"http://{host}:{port}")
    finally:
        server.stop()
