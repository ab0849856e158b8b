"""Readings as HTTP requests: their bodies, and a sender that waits when it is told to and comes back by itself."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from io import BytesIO
from typing import Final, Literal
from urllib.parse import urlsplit

import httpx
import msgspec
import polars as pl

from ..exceptions import AccessError, ConfigError, IngestError

Body = Literal["arrow", "json"]

PATH: Final = "/api/v1/readings"
MAX_ROWS: Final = 50_000
"""Rows in one request; a minute of a larger fleet goes out in several."""

LONGEST_WAIT_S: Final = 30.0
CONTENT_TYPES: Final = {"arrow": "application/vnd.apache.arrow.stream", "json": "application/json"}
KEYS: Final = ("device_id", "timestamp", "type", "site")


class Rejection(msgspec.Struct, frozen=True):
    """A row that the server did not take, and why."""

    reason: str
    message: str
    device_id: str = ""


class Answer(msgspec.Struct, frozen=True):
    """What the server says of a request: how many rows it took, had already, and did not take, with examples."""

    accepted: int
    duplicate: int
    rejected: int
    examples: tuple[Rejection, ...] = ()


class _Problem(msgspec.Struct, frozen=True):
    title: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Pauses:
    """How a sender waits and whom it tells: `sleep` takes seconds, `now` gives the time for Retry-After dates."""

    sleep: Callable[[float], None] = time.sleep
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    tell: Callable[[str], None] = lambda message: None


def requests_of(frame: pl.DataFrame, *, parts: bool) -> Iterator[pl.DataFrame]:
    """Cut readings into frames of at most MAX_ROWS rows; with `parts`, each sensor's value becomes a row of its own.

    `frame` has the columns device_id, timestamp, type, site and the sensors.
    """
    if parts:
        for name in [name for name in frame.columns if name not in KEYS]:
            yield from frame.select(*KEYS, name).drop_nulls(name).iter_slices(MAX_ROWS)
    else:
        yield from frame.iter_slices(MAX_ROWS)


def encode(frame: pl.DataFrame, body: Body) -> bytes:
    """Write readings as the body of a request: an Arrow IPC stream, or JSON rows without missing values."""
    if body == "arrow":
        buffer = BytesIO()
        frame.write_ipc_stream(buffer, compat_level=pl.CompatLevel.oldest())
        return buffer.getvalue()
    stamps = frame["timestamp"].dt.strftime("%Y-%m-%dT%H:%M:%S%.3fZ")
    sensors = [name for name in frame.columns if name not in KEYS]
    rows = [
        {
            "device_id": device_id,
            "timestamp": stamp,
            "type": type_name,
            "site": site,
            "values": {name: value for name, value in zip(sensors, values, strict=True) if value is not None},
        }
        for device_id, stamp, type_name, site, values in zip(
            frame["device_id"], stamps, frame["type"], frame["site"], frame.select(sensors).iter_rows(), strict=True
        )
    ]
    return msgspec.json.encode({"rows": rows})


class Sender:
    """Posts readings to a running faultwatch, one request after another.

    It waits as long as a 429 or 503 says, and tries again, ever more slowly, while the server can't be reached.
    """

    def __init__(self, url: str, token: str, pauses: Pauses, transport: httpx.BaseTransport | None = None) -> None:
        try:
            parsed = urlsplit(url)
            named = parsed.scheme in ("http", "https") and bool(parsed.hostname) and parsed.port != 0
            httpx.URL(url)
        except (ValueError, httpx.InvalidURL) as error:
            raise ConfigError(f"--url {url!r} is no address: {error}; expected one such as {_EXAMPLE}") from error
        if not named:
            raise ConfigError(f"--url {url!r} is no address of a server; expected one such as {_EXAMPLE}")
        self._url = url.rstrip("/") + PATH
        self._pauses = pauses
        try:
            headers = {"Authorization": f"Bearer {token}"}
            self._client = httpx.Client(headers=headers, timeout=httpx.Timeout(60.0, connect=10.0), transport=transport)
        except UnicodeEncodeError as error:
            raise ConfigError("the token has characters that no token has; copy it once more") from error

    def __enter__(self) -> "Sender":
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def send(self, content: bytes, body: Body, key: str) -> Answer:
        """Post one body until the server has answered for it, and return what it said.

        `key` is the idempotency key: a request whose answer got lost is not counted twice. Raises AccessError
        where the token is not let in, IngestError where the server won't have the request.
        """
        headers = {"Content-Type": CONTENT_TYPES[body], "Idempotency-Key": key}
        wait = 1.0
        while True:
            try:
                response = self._client.post(self._url, content=content, headers=headers)
            except httpx.TransportError as error:
                why = str(error) or type(error).__name__
                self._pause(wait, f"{self._url} can't be reached ({why})")
            else:
                if response.status_code != 429 and response.status_code < 500:
                    return self._answer(response)
                told = retry_after(response.headers.get("Retry-After", ""), self._pauses.now())
                self._pause(wait if told is None else told, _said(response))
            wait = min(LONGEST_WAIT_S, 2.0 * wait)

    def _pause(self, seconds: float, why: str) -> None:
        self._pauses.tell(f"{why}; trying again in {seconds:.0f} s")
        self._pauses.sleep(seconds)

    def _answer(self, response: httpx.Response) -> Answer:
        if response.status_code in (401, 403):
            raise AccessError(
                f"{_said(response)}; pass a token that may write by --token or --token-file",
                response.status_code,
            )
        if response.status_code >= 300:
            raise IngestError(_said(response))
        try:
            return msgspec.json.decode(response.content, type=Answer)
        except msgspec.MsgspecError as error:
            raise IngestError(
                f"{self._url} gave an answer that is none of faultwatch's: {error}; check --url"
            ) from error


def retry_after(header: str, now: datetime) -> float | None:
    """Return the seconds that a Retry-After header asks for, given as seconds or a date; None where it is neither."""
    try:
        seconds = float(header)
    except ValueError:
        try:
            until = parsedate_to_datetime(header)
        except ValueError:
            return None
        seconds = (until.replace(tzinfo=until.tzinfo or UTC) - now).total_seconds()
    return min(3600.0, max(0.0, seconds)) if seconds == seconds else None


_EXAMPLE = "http://127.0.0.1:8765"


def _said(response: httpx.Response) -> str:
    """Return what a refusal says, for people."""
    try:
        problem = msgspec.json.decode(response.content, type=_Problem)
    except msgspec.MsgspecError:
        problem = _Problem()
    said = problem.detail or problem.title or response.reason_phrase
    return f"{response.request.url} answered {response.status_code}: {said}"
