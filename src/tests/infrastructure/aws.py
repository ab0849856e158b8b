"""The AWS that tests talk to: moto on the loopback, its account, and clients of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
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


@dataclass
class Refusing:
    """An AWS in front of another one, which refuses the first requests with an error and passes the others on."""

    code: str
    status: int
    times: int
    onward: str
    endpoint: str = ""
    seen: list[str] = field(default_factory=list)


@contextmanager
def refusing_aws(code: str, status: int, times: int, onward: str) -> Iterator[Refusing]:
    """A server that refuses as many requests with this error, as those services word it that speak XML (STS, IAM)."""
    told = Refusing(code, status, times, onward)
    error = f"<Error><Type>Sender</Type><Code>{code}</Code><Message>as the test said</Message></Error>"
    refusal = f"<ErrorResponse>{error}<RequestId>0</RequestId></ErrorResponse>".encode()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: object) -> None:
            """Nothing to anybody."""

        def answer(self, status: int, body: bytes, kind: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            told.seen.append(f"{self.command} {self.path}")
            if len(told.seen) <= told.times:
                self.answer(told.status, refusal, "text/xml")
                return
            asked = {name: value for name, value in self.headers.items() if name.lower() != "accept-encoding"}
            got = httpx.request(self.command, f"{told.onward}{self.path}", headers=asked, content=body, timeout=60)
            self.answer(got.status_code, got.content, got.headers.get("Content-Type", "text/xml"))

        do_GET = do_PUT = do_DELETE = do_HEAD = do_POST

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        told.endpoint = f"http://127.0.0.1:{server.server_port}"
        try:
            yield told
        finally:
            server.shutdown()
            thread.join()
