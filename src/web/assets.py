"""Styles, scripts and fonts, served from this package below an address that changes when any of them does."""

import hashlib
from importlib.resources import files
from pathlib import Path

from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send

FOLDER = Path(str(files(__package__).joinpath("static")))
FOR_EVER = b"public, max-age=31536000, immutable"


def fingerprint(folder: Path = FOLDER) -> str:
    """Twelve characters that stand for the content of every file."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(str(path.relative_to(folder)).encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


class Assets(StaticFiles):
    """Files that browsers may keep for ever; an ES module finds those beside it under the same fingerprint."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one file."""

        async def send_to_keep(message: dict[str, object]) -> None:
            if message["type"] == "http.response.start" and message["status"] == 200:
                headers = list(message.get("headers", []))  # type: ignore[call-overload]
                message = {**message, "headers": [*headers, (b"cache-control", FOR_EVER)]}
            await send(message)

        await super().__call__(scope, receive, send_to_keep)  # type: ignore[arg-type]
