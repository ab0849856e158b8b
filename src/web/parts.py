"""What every route of the web has at hand: settings, database, lake, snapshots, news, and the time."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Engine
from starlette.requests import Request

from ..fleet.tokens import Tokens
from ..settings import Settings
from ..telemetry.lake import Lake
from ..telemetry.published import PublishedReader
from .feed import Feed
from .roster import Rosters


@dataclass(frozen=True)
class Parts:
    """Made once by `create_app`; only the rosters, the feed and the tokens remember anything."""

    settings: Settings
    engine: Engine
    lake: Lake
    published: Sequence[PublishedReader]
    rosters: Rosters
    feed: Feed
    tokens: Tokens

    def now_ms(self) -> int:
        """The wall clock."""
        return time.time_ns() // 1_000_000


def parts(request: Request) -> Parts:
    """The parts of the application that serves this request."""
    found = request.app.state.parts
    assert isinstance(found, Parts)
    return found
