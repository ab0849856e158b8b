"""Rights on AWS by EKS Pod Identity: the lake asks the agent of its node, with the token the pod was given."""

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from ...telemetry.lake import Lake
from ..systems import s3

TOKEN = "the-pods-token"


class Agent(BaseHTTPRequestHandler):
    """Hands out keys that end, to who has the pod's token."""

    asked: list[str] = []

    def do_GET(self) -> None:
        """Answer as the agent of EKS does."""
        self.asked.append(self.headers["Authorization"])
        keys = {
            "AccessKeyId": s3.ACCESS_KEY,
            "SecretAccessKey": s3.ACCESS_KEY,
            "Token": "session",
            "AccountId": "123456789012",
            "Expiration": (datetime.now(UTC) + timedelta(hours=6)).strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        text = json.dumps(keys if self.headers["Authorization"] == TOKEN else {}).encode()
        self.send_response(200 if self.headers["Authorization"] == TOKEN else 401)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def agent() -> Iterator[str]:
    """The address of an agent."""
    Agent.asked = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Agent)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/v1/credentials"
    server.shutdown()
    server.server_close()
    thread.join()


def test_the_lake_has_its_rights_from_the_agent_and_no_key(
    moto_server: s3.Bucket, agent: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    token = tmp_path / "eks-pod-identity-token"
    token.write_text(TOKEN)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", agent)
    monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", str(token))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    Lake(f"{moto_server.url}/lake").answers()
    assert Agent.asked and set(Agent.asked) == {TOKEN}
