"""Errors as the API says them: problem+json (RFC 9457), or a page for a browser."""

from collections.abc import Mapping
from http import HTTPStatus

import msgspec
from starlette.responses import Response

MEDIA = "application/problem+json"


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """The members of RFC 9457; `errors` names the parameters of a request that can't be used."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    errors: list[dict[str, str]] | msgspec.UnsetType = msgspec.UNSET


def problem(
    status: int,
    detail: str,
    *,
    errors: list[dict[str, str]] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """An answer that says what went wrong and what to do."""
    body = Problem(
        title=HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        errors=msgspec.UNSET if errors is None else errors,
    )
    return Response(msgspec.json.encode(body), status, headers=dict(headers or {}), media_type=MEDIA)
