"""The alert engine in a shard: rows and words in its terms, and its transitions in words for people."""

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import msgspec
import numpy as np
import numpy.typing as npt
import structlog

from ..alerts import engine, sentences
from ..alerts.observations import FOREVER_MS
from ..detection.ways import Way
from ..fleet.alerts import AlertChange, Blame
from ..fleet.models import Severity
from ..telemetry import records
from ..telemetry.schema import DeviceType
from .columns import Array
from .roster import Roster
from .type_state import Batch, TypeState

Int64s = npt.NDArray[np.int64]

log = structlog.get_logger(__name__)


class WordPayload(msgspec.Struct, frozen=True):
    """What a word says beyond its kind: which alert it is about, the window of a maintenance, why."""

    alert_kind: str | None = None
    rule: int = -1
    from_ms: int | None = None
    until_ms: int | None = None
    reason: str = ""


class Alerting:
    """Steps the engine and turns what it says into `AlertChange`s. Slots are shard-wide, sites and owners by their ids.

    `site_name` gives the name of a site, which sentences need and scores and alerts don't.
    """

    def __init__(
        self,
        roster: Roster,
        types: Mapping[int, TypeState],
        config: engine.EngineConfig,
        site_name: Callable[[int], str],
    ) -> None:
        self._roster = roster
        self._site_name = site_name
        self._types = types
        self._config = config
        self._state = engine.EngineState.new(0, config)
        self._refused_ms = np.zeros(0, np.int64)

    @property
    def status(self) -> npt.NDArray[np.uint8]:
        """`Status` codes by slot."""
        return self._state.status

    @property
    def status_since(self) -> Int64s:
        """Since when each device has its status, ms by slot."""
        return self._state.status_since

    @property
    def rules(self) -> frozenset[int]:
        """Ids of the owners' rules that are in force."""
        return frozenset(self._state.rule["id"].tolist())

    def start(self, now_ms: int) -> list[AlertChange]:
        """The process started: what came before is nobody's silence."""
        return self._step(engine.Observations(started=True), now_ms)

    def devices(self, slots: Int64s, now_ms: int) -> list[AlertChange]:
        """Take over devices of the roster that are new or changed, or whose type did."""
        type_ids, which = np.unique(self._roster.type_ids[slots], return_inverse=True)
        specs = [self._types[int(type_id)].spec for type_id in type_ids]
        interval = np.array([spec.interval_ms for spec in specs], np.int64)[which]
        patience = np.array([spec.silent_after for spec in specs], np.int64)[which]
        devices = engine.Devices.of(
            slots,
            interval_ms=interval,
            silent_after_ms=interval * patience,
            site=self._roster.site_ids[slots],
            owner=self._roster.owner_ids[slots],
            type=self._roster.type_ids[slots],
        )
        return self._step(engine.Observations(devices=devices), now_ms)

    def rows(self, state: TypeState, batch: Batch, now_ms: int, *, live: bool) -> list[AlertChange]:
        """Tell the engine of rows; a late row says only that its device is alive."""
        slots = self._roster.slots(batch.readings.keys).astype(np.int32)
        if batch.late:
            return self.heard(slots, now_ms) if live else []
        nothing = np.zeros(len(slots), np.uint64)
        retired = sum(1 << number for number, sensor in enumerate(state.spec.sensors) if sensor.retired)
        rows = engine.Rows.of(
            slots,
            batch.readings.ts,
            np.nan if batch.scores is None else batch.scores.score,
            enter=batch.enter,
            leave=batch.leave,
            present=engine.present_bits(batch.readings.values) | np.uint64(retired),
            stuck=nothing if batch.scores is None else batch.scores.stuck,
            live=live,
            learning=True if batch.scores is None else batch.scores.learning,
            values=batch.readings.values,
        )
        return self._step(engine.Observations(rows=rows), now_ms, state, batch)

    def rule(self, record: records.Rule) -> list[AlertChange]:
        """An owner's rule comes into force, or is taken back. One that makes no sense here is logged and left."""
        state = self._types.get(record.type_id)
        slot = -1
        if record.device_key is not None:
            slot = int(self._roster.slots(np.array([record.device_key], np.int64))[0])
        if (
            state is None
            or record.sensor not in state.spec.sensor_names
            or (record.device_key is not None and slot < 0)
        ):
            log.warning("rule.refused", rule=record.rule_id, reason="its type, sensor or device is not of this shard")
            return []
        rule = engine.Rule(
            id=record.rule_id,
            owner=record.owner_id,
            type=record.type_id,
            sensor=state.spec.sensor_names.index(record.sensor),
            above=record.comparison == "above",
            limit=record.value,
            back=record.back,
            hold_ms=record.hold_ms,
            slot=slot,
            severity=engine.Severity[record.severity.upper()],
            active=not record.removed,
        )
        try:
            return self._step(engine.Observations(rules=[rule]), record.now_ms)
        except ValueError as error:
            log.warning("rule.refused", rule=record.rule_id, reason=str(error))
            return []

    def heard(self, slots: Int64s | npt.NDArray[np.int32], now_ms: int) -> list[AlertChange]:
        """Devices sent something that isn't a row yet."""
        return self._step(engine.Observations(heard=np.unique(slots).astype(np.int32)), now_ms)

    def refused(self, slots: Int64s, ts: Int64s, outside: npt.NDArray[np.uint64], now_ms: int) -> list[AlertChange]:
        """Devices sent rows that were not taken, (n,): a bit in `outside` for each sensor out of its range at `ts`.

        Such a row is none of its sensors' trouble where no bit is set, and no reading either: a device that sends
        nothing else falls silent, the first time counted from its first row of this kind.
        """
        self._reach()
        self._refused_ms[slots] = now_ms
        ranged = outside != 0
        rejected = engine.Rejected.of(slots[ranged], ts[ranged], outside[ranged])
        changes = self._step(engine.Observations(rejected=rejected), now_ms)
        new = slots[~ranged & ~self._state.live[slots]]
        return changes + (self.heard(new, now_ms) if len(new) else [])

    def _reach(self) -> None:
        """Know of every device whether its rows were refused."""
        grown = np.zeros(len(self._roster), np.int64)
        grown[: len(self._refused_ms)] = self._refused_ms
        self._refused_ms = grown

    def tick(self, now_ms: int) -> list[AlertChange]:
        """Time passed."""
        return self._step(engine.Observations(tick=True), now_ms)

    def word(self, slot: int, record: records.Word) -> list[AlertChange]:
        """An operator said something about a device. A word that makes no sense is logged and left."""
        try:
            return self._step(engine.Observations(words=[self._word(slot, record)]), record.now_ms)
        except (ValueError, KeyError) as error:
            log.warning("word.refused", command=record.command_id, kind=record.kind, reason=str(error))
            return []

    @staticmethod
    def relearns(record: records.Word) -> Literal["new_normal", "repaired"] | None:
        """The word for the detector, where an operator's word lets a baseline relearn."""
        if record.kind == "repaired":
            return "repaired"
        try:
            said = msgspec.json.decode(record.payload, type=WordPayload)
        except msgspec.DecodeError:
            return None  # `word` has told of it
        return "new_normal" if "new_normal" in (record.kind, said.reason) else None

    def _word(self, slot: int, record: records.Word) -> engine.Word:
        said = msgspec.json.decode(record.payload, type=WordPayload)
        alert = engine.Kind[said.alert_kind.upper()] if said.alert_kind else None
        return engine.Word(
            int(self._roster.site_ids[slot]) if alert is engine.Kind.SITE else slot,
            engine.WordKind[record.kind.upper()],
            alert=alert,
            rule=said.rule,
            from_ms=record.now_ms if said.from_ms is None else said.from_ms,
            until_ms=FOREVER_MS if said.until_ms is None else said.until_ms,
        )

    def to_arrays(self) -> dict[str, Array]:
        """What a checkpoint keeps."""
        return {**self._state.to_arrays(), "refused_ms": self._refused_ms.copy()}

    def load(self, arrays: Mapping[str, Array]) -> None:
        """Take over what a checkpoint kept."""
        self._refused_ms = arrays.get("refused_ms", np.zeros(0)).astype(np.int64)
        self._state = engine.EngineState.from_arrays(arrays, self._config)

    def _step(
        self,
        observations: engine.Observations,
        now_ms: int,
        state: TypeState | None = None,
        batch: Batch | None = None,
    ) -> list[AlertChange]:
        transitions = engine.step(self._state, observations, now_ms)
        changes = [self._change(transition, batch) for transition in transitions if _for_people(transition)]
        return changes

    def _change(self, transition: engine.Transition, batch: Batch | None) -> AlertChange:
        if transition.kind is engine.Kind.SITE:
            return self._site_change(transition)
        slot = transition.slot
        state = self._types[int(self._roster.type_ids[slot])]
        site_id = int(self._roster.site_ids[slot])
        row = transition.row if batch is not None else -1
        if transition.kind is engine.Kind.THRESHOLD:
            return self._threshold_change(transition, state, batch)
        blame = _blamed(batch, row) if transition.kind is engine.Kind.ANOMALY and batch is not None and row >= 0 else []
        sensor = state.spec.sensors[transition.rule] if transition.rule >= 0 else None
        score = float(batch.scores.score[row]) if batch is not None and batch.scores is not None and row >= 0 else None
        return AlertChange(
            owner_id=int(self._roster.owner_ids[slot]),
            device_key=int(self._roster.keys[slot]),
            site_id=None if site_id < 0 else site_id,
            kind=transition.kind.name.lower(),
            rule=transition.rule,
            sensor=None if sensor is None else sensor.name,
            to_state=_to_state(transition),
            at_ms=transition.at_ms,
            first_signs_ms=transition.first_signs_ms,
            pending_ms=transition.pending_ms,
            severity=_SEVERITY[transition.severity],
            score=score,
            peak_score=score,
            sentence=_sentence(transition, state.spec, blame, refused=self._was_refused(transition)),
            blame=tuple(_told(state.spec, each) for each in blame),
            model_version=None if batch is None else batch.model_version,
            historic=transition.historic,
            resolution=transition.cause.name.lower() if transition.to_state is engine.State.RESOLVED else None,
        )

    def _was_refused(self, transition: engine.Transition) -> bool:
        """Whether a device has sent rows that were not taken since it was last heard from."""
        slot = transition.slot
        return slot < len(self._refused_ms) and bool(self._refused_ms[slot] > transition.first_signs_ms)

    def _threshold_change(self, transition: engine.Transition, state: TypeState, batch: Batch | None) -> AlertChange:
        """A change of an alert of an owner's rule: no model said it, and the value says all."""
        slot, ended = transition.slot, transition.to_state is engine.State.RESOLVED
        site_id = int(self._roster.site_ids[slot])
        found = self._state.rule[self._state.rule["id"] == transition.rule]
        blame: tuple[Blame, ...] = ()
        sentence, sensor = "", None
        if len(found) and not ended:
            rule = found[0]
            above, limit, number = bool(rule["above"]), float(rule["limit"]), int(rule["sensor"])
            which = state.spec.sensors[number]
            sentence = sentences.threshold(state.spec, number, above=above, limit=limit, hold_ms=int(rule["hold_ms"]))
            sensor = which.name
            if batch is not None and transition.row >= 0:
                observed = float(batch.readings.values[transition.row, number])
                low, high = (None, limit) if above else (limit, None)
                blame = (
                    Blame(
                        sensor=which.name,
                        label=which.title,
                        unit=which.unit,
                        share=1.0,
                        observed=None if np.isnan(observed) else round(observed, 6),
                        low=low,
                        high=high,
                    ),
                )
        return AlertChange(
            owner_id=int(self._roster.owner_ids[slot]),
            device_key=int(self._roster.keys[slot]),
            site_id=None if site_id < 0 else site_id,
            kind="threshold",
            rule=transition.rule,
            sensor=sensor,
            to_state=_to_state(transition),
            at_ms=transition.at_ms,
            first_signs_ms=transition.first_signs_ms,
            pending_ms=transition.pending_ms,
            severity=_SEVERITY[transition.severity],
            sentence=sentence,
            blame=blame,
            historic=transition.historic,
            resolution=transition.cause.name.lower() if ended else None,
        )

    def _site_change(self, transition: engine.Transition) -> AlertChange:
        members = np.flatnonzero(self._roster.site_ids == transition.slot)
        return AlertChange(
            owner_id=int(self._roster.owner_ids[members[0]]),
            device_key=None,
            site_id=transition.slot,
            kind="site",
            to_state=_to_state(transition),
            at_ms=transition.at_ms,
            first_signs_ms=transition.first_signs_ms,
            pending_ms=transition.pending_ms,
            severity=_SEVERITY[transition.severity],
            sentence=sentences.site(transition.count, transition.of, self._site_name(transition.slot)),
            historic=transition.historic,
            resolution=transition.cause.name.lower() if transition.to_state is engine.State.RESOLVED else None,
        )


_SEVERITY: dict[engine.Severity, Severity] = {
    engine.Severity.INFO: "info",
    engine.Severity.WARNING: "warning",
    engine.Severity.CRITICAL: "critical",
}


def _for_people(transition: engine.Transition) -> bool:
    """Whether a transition changes an alert that people see: pending ones aren't told of."""
    return engine.State.FIRING in (transition.from_state, transition.to_state)


def _to_state(transition: engine.Transition) -> Literal["firing", "resolved", "update"]:
    if transition.is_update and transition.cause is not engine.Cause.LIVE:
        return "update"
    return "firing" if transition.to_state is engine.State.FIRING else "resolved"


_ODDNESS: Mapping[Way, sentences.Oddness] = {
    Way.AT_ONCE: "sudden",
    Way.NOISY: "noise",
    Way.JUMPY: "jumps",
    Way.TOGETHER: "together",
}

MOST_BLAMED = 5
LEAST_SHARE = 0.03
"""A sensor with less of the score isn't named."""


def _blamed(batch: Batch, row: int) -> list[sentences.Blame]:
    """The sensors to blame for a row's score, the one with the largest share first."""
    scores = batch.scores
    if scores is None:
        return []
    share = np.nan_to_num(scores.contribution[row])
    centre, width = scores.centre[row].astype(float), scores.width[row].astype(float)
    return [
        sentences.Blame(
            sensor=int(sensor),
            observed=float(batch.readings.values[row, sensor]),
            low=centre[sensor] - width[sensor],
            high=centre[sensor] + width[sensor],
            share=float(share[sensor]),
            oddness=_ODDNESS.get(Way(int(scores.way[row, sensor])), "level"),
            off=float(scores.off[row, sensor]),
        )
        for sensor in np.argsort(-share, kind="stable")[:MOST_BLAMED]
        if share[sensor] >= LEAST_SHARE
    ]


def _told(spec: DeviceType, blame: sentences.Blame) -> Blame:
    sensor = spec.sensors[blame.sensor]
    observed, low, high = (None if np.isnan(x) else round(float(x), 6) for x in (blame.observed, blame.low, blame.high))
    return Blame(
        sensor=sensor.name,
        label=sensor.title,
        unit=sensor.unit,
        share=round(blame.share, 4),
        observed=observed,
        low=low,
        high=high,
    )


def _sentence(
    transition: engine.Transition, spec: DeviceType, blame: Sequence[sentences.Blame], *, refused: bool
) -> str:
    if transition.to_state is engine.State.RESOLVED:
        return ""
    if transition.kind is engine.Kind.ANOMALY:
        return sentences.anomaly(spec, blame)
    if transition.kind is engine.Kind.SENSOR:
        return sentences.sensor(spec, transition.rule, transition.condition)
    return sentences.silent(refused=refused)
