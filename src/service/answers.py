"""What a sender is told: the counts of its rows, or why its request was not taken (RFC 9457, problem+json)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus

import msgspec

from ..exceptions import FaultwatchError

EXAMPLES = 5
"""How many rejected rows an answer shows."""


class Example(msgspec.Struct, frozen=True):
    """A row that was not taken: its number in the request (from 0), its device, why."""

    row: int
    device_id: str
    reason: str
    message: str


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the rows of a request: accepted + duplicate + rejected is how many were sent.

    `unchecked` of the accepted ones are yet to be told from duplicates by the lake; `reasons` counts the
    rejected ones by reason, `examples` shows the first.
    """

    accepted: int
    duplicate: int
    rejected: int
    unchecked: int
    reasons: Mapping[str, int] = {}
    examples: Sequence[Example] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a request: HTTP status, JSON body, and what goes into headers."""

    status: int
    body: bytes
    replayed: bool = False
    retry_after_s: int | None = None

    @property
    def content_type(self) -> str:
        """The media type of the body."""
        return "application/json" if self.status < 400 else "application/problem+json"


def headers_of(answer: Answer) -> list[tuple[bytes, bytes]]:
    """The headers of an answer."""
    headers = [
        (b"content-type", answer.content_type.encode()),
        (b"content-length", str(len(answer.body)).encode()),
    ]
    if answer.status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    if answer.status == 405:
        headers.append((b"allow", b"POST"))
    if answer.retry_after_s is not None:
        headers.append((b"retry-after", str(answer.retry_after_s).encode()))
    if answer.replayed:
        headers.append((b"idempotency-replayed", b"true"))
    return headers


class _Problem(msgspec.Struct, frozen=True):
    type: str
    title: str
    status: int
    detail: str


def problem(status: int, detail: str, retry_after_s: int | None = None) -> Answer:
    """A request that was not taken: `detail` says what was received, what was expected and what to do."""
    content = _Problem("about:blank", HTTPStatus(status).phrase, status, detail)
    return Answer(status, msgspec.json.encode(content), retry_after_s=retry_after_s)


def problem_of(error: FaultwatchError) -> Answer:
    """The answer to a request that raised `error`; where the fault is the server's, when to come again."""
    return problem(error.status, str(error), RETRY_AFTER_S if error.status == 503 else None)


RETRY_AFTER_S = 5
"""Seconds a sender is asked to wait where the log, the database or the scorer doesn't keep up."""
