"""What the pages say of themselves: whether they are ready, and the figures that are looked up."""

import time
from collections.abc import Mapping, Sequence

from sqlalchemy import Engine

from ..checks import Probe
from ..fleet.database import answers
from ..metrics import Metrics
from ..telemetry.published import PublishedReader

STALE_S = 120.0
"""Pages that show a snapshot older than this show the past."""


class PagesHealth:
    """Looks at what pages are made of; `published`: one reader per shard."""

    def __init__(self, engine: Engine, published: Sequence[PublishedReader]) -> None:
        self._engine = engine
        self._published = published

    def probes(self) -> Mapping[str, Probe]:
        """What readiness of the pages means."""
        return {"database": self._database, "published": self._fresh}

    def look(self, metrics: Metrics) -> None:
        """Set the figures of the pages. Raises StorageError where the snapshot can't be read."""
        age_s = self._age_s()
        if age_s is not None:
            metrics.published_age_seconds.set(age_s)

    def _database(self) -> str | None:
        answers(self._engine)
        return None

    def _fresh(self) -> str | None:
        age_s = self._age_s()
        if age_s is None:
            return (
                "the loop has published nothing yet; expected a snapshot in the data folder: start `faultwatch serve"
                " --role loop` on the same data folder"
            )
        if age_s >= STALE_S:
            return (
                f"the loop published last {age_s:.0f} s ago; expected less than {STALE_S:.0f}: see whether `faultwatch"
                " serve --role loop` runs on the same data folder, and what its /readyz says"
            )
        return None

    def _age_s(self) -> float | None:
        """Age of the oldest shard's snapshot; None where one has none."""
        clocks = [reader.clock() for reader in self._published]
        times = [clock.published_ms for clock in clocks if clock is not None]
        if len(times) < len(clocks) or not times:
            return None
        return max(0.0, time.time() - min(times) / 1000)
