"""What a step of the alert engine changed: one entry a transition, in columns."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .kinds import Cause, Condition, Kind, Mark, Severity, State

TRANSITION = np.dtype(
    [
        ("slot", "i4"),
        ("rule", "i4"),
        ("row", "i4"),
        ("count", "i4"),
        ("of", "i4"),
        ("at_ms", "i8"),
        ("first_signs_ms", "i8"),
        ("pending_ms", "i8"),
        ("kind", "u1"),
        ("from_state", "u1"),
        ("to_state", "u1"),
        ("severity", "u1"),
        ("condition", "u1"),
        ("marks", "u1"),
        ("cause", "u1"),
        ("historic", "?"),
    ],
    align=True,
)
"""One transition as the kernel writes it."""


@dataclass(frozen=True, slots=True)
class Transition:
    """One transition; see `Transitions`."""

    slot: int
    kind: Kind
    rule: int
    from_state: State
    to_state: State
    at_ms: int
    first_signs_ms: int
    pending_ms: int
    severity: Severity
    historic: bool
    condition: Condition
    marks: Mark
    cause: Cause
    count: int
    of: int
    row: int

    @property
    def is_update(self) -> bool:
        """The alert stays in its state; severity, marks or count changed."""
        return self.from_state == self.to_state


@dataclass(frozen=True, slots=True)
class Transitions:
    """What changed: columns of length n, sites first, then by slot; those of one device in their order.

    `slot`: the device's, or the site's number where `kind` is SITE. `rule`: the sensor's number for kind SENSOR, the
    rule's id for THRESHOLD, else -1. `at_ms`: the step's `now_ms`, or the row's time where `historic`.
    `first_signs_ms`: when it began, as far as the engine knows: the reading that first was odd, the newest arrival of a
    silent device. `pending_ms`: when it became pending. `count` and `of`: silent devices and live devices of the site,
    for kind SITE. `row`: place in `Observations.rows` of the row that caused it, -1 where none did. `condition`,
    `marks`, `cause`: see `kinds`. Where from_state equals to_state the alert was updated: `cause` says how.
    """

    data: npt.NDArray[np.void]

    def __len__(self) -> int:
        return len(self.data)

    @property
    def slot(self) -> npt.NDArray[np.int32]:
        """Device slots; for kind SITE the site's number."""
        return self.data["slot"]

    @property
    def kind(self) -> npt.NDArray[np.uint8]:
        """`Kind` codes."""
        return self.data["kind"]

    @property
    def rule(self) -> npt.NDArray[np.int32]:
        """Sensor numbers for kind SENSOR, ids of rules for THRESHOLD, else -1."""
        return self.data["rule"]

    @property
    def from_state(self) -> npt.NDArray[np.uint8]:
        """`State` codes before."""
        return self.data["from_state"]

    @property
    def to_state(self) -> npt.NDArray[np.uint8]:
        """`State` codes after."""
        return self.data["to_state"]

    @property
    def at_ms(self) -> npt.NDArray[np.int64]:
        """When, in ms."""
        return self.data["at_ms"]

    @property
    def historic(self) -> npt.NDArray[np.bool_]:
        """Whether a backfilled row caused it."""
        return self.data["historic"]

    @property
    def row(self) -> npt.NDArray[np.int32]:
        """Places in `Observations.rows`, -1 for none."""
        return self.data["row"]

    def __iter__(self) -> Iterator[Transition]:
        """One `Transition` after the other; for the few, not for columns."""
        for item in self.data:
            yield Transition(
                slot=int(item["slot"]),
                kind=Kind(int(item["kind"])),
                rule=int(item["rule"]),
                from_state=State(int(item["from_state"])),
                to_state=State(int(item["to_state"])),
                at_ms=int(item["at_ms"]),
                first_signs_ms=int(item["first_signs_ms"]),
                pending_ms=int(item["pending_ms"]),
                severity=Severity(int(item["severity"])),
                historic=bool(item["historic"]),
                condition=Condition(int(item["condition"])),
                marks=Mark(int(item["marks"])),
                cause=Cause(int(item["cause"])),
                count=int(item["count"]),
                of=int(item["of"]),
                row=int(item["row"]),
            )

    def take(self, index: npt.NDArray[np.bool_] | npt.NDArray[np.intp]) -> "Transitions":
        """Return those chosen by a mask or by positions."""
        return Transitions(self.data[index])
