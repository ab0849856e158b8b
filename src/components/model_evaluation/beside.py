"""Which of the judged rows a challenger and the champion may be compared on: those that neither has learnt from."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ...exceptions import ModelError
from .. import learnt
from ..learnt import Learnt
from .gate import Beside, GateConfig, Slice
from .trial import Bools, Trial, Unseen


@dataclass(frozen=True, slots=True)
class Ground:
    """A part of what was judged, and which probes (k,) it keeps; `told` says what was left out, empty where nothing
    was."""

    unseen: Unseen
    probes: Bools
    told: str = ""

    def beside(self, challenger: Trial, champion: Trial, slices: Callable[[Unseen], Sequence[Slice]]) -> Beside:
        """Both counted on this part; `slices` of what is judged there."""
        mine, theirs = challenger.on(self.unseen, self.probes), champion.on(self.unseen, self.probes)
        return Beside(mine, theirs, self.unseen, slices(self.unseen))


def common_ground(unseen: Unseen, folder: Path, version: int, config: GateConfig) -> Ground | str:
    """What of `unseen` the champion, whose model is in `folder`, hasn't learnt from either; or why it isn't compared
    with, as a sentence."""
    try:
        source = learnt.read(folder)
    except ModelError as error:
        return f"version {version} was not compared with: {error}"
    if source is None:
        return (
            f"version {version} was not compared with: what it learnt from is not known, so neither is whether it is"
            " judged on that"
        )
    part, probes = unseen.without(source)
    left, whole = float(part.device_days.sum()), float(unseen.device_days.sum())
    if left < config.compare_days:
        return (
            f"version {version} was not compared with: it {_of(source)}, which leaves {left:.1f} of {whole:.1f}"
            f" device-days that are new to it, and a comparison takes {config.compare_days:g}"
        )
    if len(part.after) == len(unseen.after):
        return Ground(part, probes)
    return Ground(
        part,
        probes,
        f"version {version} {_of(source)}; both are compared on the {left:.1f} of {whole:.1f} device-days that are new"
        " to it",
    )


def _of(source: Learnt) -> str:
    return f"learnt from {len(source.devices)} devices, {_day(source.from_ms)} to {_day(source.until_ms)}"


def _day(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")
