"""The container's contract of an endpoint, over HTTP, against a process of its own on the loopback."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from ...cloud.aws.endpoint import MOST_BYTES, Endpoint, app_of, most_bytes_of, port_of
from ...detection.blocks import Block
from ...detection.detector import Detector
from ...exceptions import ConfigError
from ..detection import fleet
from ..service import serving

pytestmark = pytest.mark.timeout(300)
MINUTES = 400


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The root of a container's layout with a trained model in it."""
    root = tmp_path_factory.mktemp("ml")
    (root / "model").mkdir()
    Detector().fit(fleet.training(fleet.values(1, 12, 500))).save(root / "model")
    return root


@pytest.fixture(scope="module")
def address(model: Path) -> Iterator[str]:
    """The address of `faultwatch cloud serve`, once it answers."""
    port = serving.free_port()
    package = str(__package__).partition(".")[0]
    command = [sys.executable, "-m", package, "cloud", "serve", "--host", "127.0.0.1"]
    environment = {
        **os.environ,
        "FAULTWATCH_CONTAINER_ROOT": str(model),
        "FAULTWATCH_ENDPOINT_BODY_BYTES": "2 MiB",
        "SAGEMAKER_BIND_TO_PORT": str(port),
    }
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE)
    found = f"http://127.0.0.1:{port}"
    try:
        for _ in range(1200):
            try:
                if httpx.get(f"{found}/ping").status_code == 200:
                    break
            except httpx.ConnectError:
                assert process.poll() is None, process.communicate()[1]
                time.sleep(0.1)
        yield found
    finally:
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=30)
    assert process.returncode in (0, -signal.SIGTERM) and b"Traceback" not in said, said


@pytest.fixture(scope="module")
def rows() -> np.ndarray:
    """Readings (n_minutes, 2, 4) of two devices, of which the second's pressure falls at the end."""
    found = fleet.values(5, 2, MINUTES)
    found[-60:, 1, 1] -= 5
    return found


def as_csv(block: Block, order: np.ndarray) -> bytes:
    """Rows as CSV, in an order."""
    lines = ["device_id,timestamp," + ",".join(fleet.NAMES)]
    for at in order:
        values = ",".join("" if np.isnan(value) else repr(float(value)) for value in block.values[at])
        stamp = np.datetime64(int(block.ts[at]), "ms").item().isoformat()
        lines.append(f"pump-{block.slots[at]},{stamp}Z,{values}")
    return "\n".join(lines).encode()


def test_csv_is_scored_as_live_line_by_line_in_the_order_of_the_request(
    address: str, model: Path, rows: np.ndarray
) -> None:
    block = fleet.block(rows)
    order = np.random.default_rng(3).permutation(len(block))
    answer = httpx.post(
        f"{address}/invocations", content=as_csv(block, order), headers={"Content-Type": "text/csv"}, timeout=60
    )
    assert answer.status_code == 200 and answer.headers["content-type"] == "text/csv"
    lines = [line.split(",") for line in answer.text.splitlines()]
    detector = Detector.load(model / "model")
    state = detector.new_state(2)
    state.place(np.full(2, -1))
    live = detector.update(state, block)
    assert len(lines) == len(block)
    np.testing.assert_allclose([float(line[0]) for line in lines], live.score[order], atol=1e-5)
    assert [line[3] == "1" for line in lines] == live.learning[order].tolist()
    odd = {int(block.slots[at]) for at, line in zip(order, lines, strict=True) if line[2] == "1"}
    assert odd == {1}
    blamed = [line[4] for at, line in zip(order, lines, strict=True) if at == len(block) - 1]
    assert blamed == ["pressure"]


def test_json_is_answered_in_columns_and_a_row_that_is_not_newer_has_no_score(address: str) -> None:
    asked = {
        "device_id": ["a", "a", "b"],
        "timestamp": ["2026-01-31T12:00:00Z", "2026-01-31T12:00:00Z", 1_769_860_800],
        "values": {"flow": [40.0, 41.0, None], "pressure": [6.0, 6.0, 6.1]},
    }
    answer = httpx.post(f"{address}/invocations", json=asked, timeout=60)
    assert answer.status_code == 200
    found = answer.json()
    assert set(found) == {"score", "threshold", "odd", "learning", "blamed"}
    assert found["score"][0] is not None and found["score"][1] is None and found["blamed"][1] is None
    assert found["learning"] == [1, found["learning"][1], 1]
    as_text = httpx.post(f"{address}/invocations", json=asked, headers={"Accept": "text/csv, */*"}, timeout=60)
    assert as_text.headers["content-type"] == "text/csv" and len(as_text.text.splitlines()) == 3


@pytest.mark.parametrize(
    ("body", "content_type", "status", "words"),
    [
        (b"x", "application/x-parquet", 415, "expected text/csv or application/json"),
        (b"{", "application/json", 400, "the body is not what is expected"),
        (b"device_id,flow\na,1\n", "text/csv", 400, "lacks timestamp; it has device_id, flow"),
        (b"device_id,timestamp,flow\na,now,1\n", "text/csv", 400, "timestamp 'now'; expected RFC 3339"),
        (b"device_id,timestamp,speed\na,1,1\n", "text/csv", 400, "sensors speed; the model knows flow, pressure"),
        (b"device_id,timestamp,flow\na,2026-01-31T12:00:00Z,much\n", "text/csv", 400, "a value is no number"),
        (b"device_id,timestamp,flow\n,2026-01-31T12:00:00Z,1\n", "text/csv", 400, "a row lacks its device_id"),
        (
            b'{"device_id":["a"],"timestamp":[],"values":{"flow":[1]}}',
            "application/json",
            400,
            "1 devices and 0 timest",
        ),
        (
            b'{"device_id":["a"],"timestamp":[1],"values":{"flow":[]}}',
            "application/json",
            400,
            "values of flow: expected",
        ),
    ],
)
def test_what_cant_be_read_says_what_was_expected(
    address: str, body: bytes, content_type: str, status: int, words: str
) -> None:
    answer = httpx.post(f"{address}/invocations", content=body, headers={"Content-Type": content_type}, timeout=60)
    assert answer.status_code == status and words in answer.json()["detail"]


ROW = b"a,2026-01-31T12:00:00Z,40\n"


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_past_the_limit_is_refused_with_a_sentence_and_the_next_one_is_taken(
    address: str, chunked: bool
) -> None:
    body = b"device_id,timestamp,flow\n" + ROW * ((3 << 20) // len(ROW))
    parts = (body[at : at + 65_536] for at in range(0, len(body), 65_536))
    content = parts if chunked else body
    with httpx.Client(base_url=address, headers={"Content-Type": "text/csv"}, timeout=60) as client:
        answer = client.post("/invocations", content=content)
        assert ("content-length" in answer.request.headers) != chunked
        assert answer.status_code == 413
        said = "more bytes" if chunked else f"{len(body):,} bytes"
        assert answer.json()["detail"].startswith(f"the body has {said}; at most 2,097,152 are taken: send fewer rows")
        small = iter([body[: 1 << 10].rpartition(b"\n")[0]])
        taken = client.post("/invocations", content=small)
        assert taken.status_code == 200 and "content-length" not in taken.request.headers


def test_what_a_sender_left_unfinished_is_not_scored(model: Path) -> None:
    said: list[Any] = []
    coming = iter(
        [
            {"type": "http.request", "body": b"device_id,timestamp,flow\n" + ROW, "more_body": True},
            {"type": "http.disconnect"},
        ]
    )

    async def receive() -> Any:
        return next(coming)

    async def send(message: Any) -> None:
        said.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/invocations",
        "headers": [(b"content-type", b"text/csv"), (b"content-length", b"900")],
    }
    asyncio.run(app_of(Endpoint(model / "model"))(scope, receive, send))  # type: ignore[arg-type]
    assert said == [] and next(coming, None) is None


def test_the_limit_is_as_set_or_as_sagemaker_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SAGEMAKER_MAX_PAYLOAD_IN_MB", raising=False)
    assert (most_bytes_of(None), most_bytes_of(4096)) == (MOST_BYTES, 4096)
    monkeypatch.setenv("SAGEMAKER_MAX_PAYLOAD_IN_MB", "100")
    assert (most_bytes_of(None), most_bytes_of(4096)) == (100 << 20, 4096)
    monkeypatch.setenv("SAGEMAKER_MAX_PAYLOAD_IN_MB", "much")
    with pytest.raises(ConfigError, match="SAGEMAKER_MAX_PAYLOAD_IN_MB is 'much'; expected a number of megabytes"):
        most_bytes_of(None)


def test_other_paths_and_empty_bodies(address: str) -> None:
    assert httpx.get(f"{address}/invocations").status_code == 404
    assert httpx.get(f"{address}/elsewhere").json() == {"detail": "GET /elsewhere; expected POST /invocations"}
    empty: Any = httpx.post(f"{address}/invocations", content=b"", headers={"Content-Type": "text/csv"})
    assert (empty.status_code, empty.text) == (200, "")
    assert json.loads(httpx.get(f"{address}/ping").text) == {}


def test_no_model_and_no_port_say_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="no model in .*; SageMaker unpacks"):
        Endpoint(tmp_path / "model")
    monkeypatch.delenv("SAGEMAKER_BIND_TO_PORT", raising=False)
    assert (port_of(None), port_of(1)) == (8080, 1)
    monkeypatch.setenv("SAGEMAKER_BIND_TO_PORT", "http")
    with pytest.raises(ConfigError, match="SAGEMAKER_BIND_TO_PORT is 'http'; expected a port"):
        port_of(None)
