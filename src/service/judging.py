"""Judge the rows of all requests that are looked at together: which are taken, and what each sender is told."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import polars as pl

from ..fleet.tokens import TokenInfo
from ..telemetry import quality
from ..telemetry.quality import LiveLimits, Reason
from ..telemetry.readings import Readings
from ..telemetry.recent import RecentRows
from ..telemetry.records import BadRow, DeviceEntry, Refused
from .answers import Counts
from .batches import Batch, gather
from .decoded import Block, Decoded, Row, into_columns
from .directory import Directory
from .refusals import Refusals
from .resolving import NO_TYPE, Newcomers, Resolved, few, resolve

Ints = npt.NDArray[np.int64]

NEVER = np.iinfo(np.int64).min
"""The newest timestamp of a device that has sent nothing."""


@dataclass(frozen=True, slots=True)
class Taken:
    """Rows of one type to be logged; `unchecked` bool (n,) as in `quality.settle`."""

    readings: Readings
    unchecked: npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Judgement:
    """What is to be logged, and the counts for each request, in their order."""

    devices: Sequence[DeviceEntry]
    taken: Sequence[Taken]
    bad_rows: Sequence[BadRow]
    refused: Sequence[Refused]
    counts: Sequence[Counts]


class Judge:
    """Knows which readings are here already: the newest timestamp of each device, and the rows of the last minutes.

    `newest` int64, by device key. Judging changes neither; `remember` does, once the rows are on disk.
    """

    def __init__(self, directory: Directory, newest: Ints, limits: LiveLimits) -> None:
        self.directory = directory
        self.limits = limits
        self._newest = newest.astype(np.int64)
        self._recent: dict[int, RecentRows] = {}

    def remember(self, readings: Readings, unchecked: npt.NDArray[np.bool_], now_ms: int) -> None:
        """These rows are on disk."""
        self.advance(readings.keys, readings.ts)
        recent = self._recent.setdefault(readings.type_id, RecentRows())
        recent.add(readings.keys, readings.ts, readings.values, unchecked, now_ms)

    def advance(self, keys: Ints, ts: Ints) -> None:
        """The devices keys (n,) have readings up to ts (n,)."""
        self._reach(keys)
        np.maximum.at(self._newest, keys, ts)

    def judge(self, requests: Sequence[tuple[TokenInfo, Decoded]], now_ms: int) -> Judgement:
        """Judge requests in the order they came. Raises StorageError where devices can't be registered."""
        tokens = [token for token, _ in requests]
        refusals = Refusals()
        newcomers = Newcomers()
        resolved = [resolve(block, tokens, self.directory, newcomers) for block in _blocks(requests, tokens, refusals)]
        batches = self._batches(resolved)
        for batch in batches:
            checked = quality.check_rows(batch.ts, batch.values, batch.device_type, now_ms, self.limits)
            batch.codes = np.where(batch.codes == 0, checked, batch.codes)
        made = self._register(newcomers, batches, now_ms)
        announced = {entry.key: entry for entry in (*made, *self._first_heard(batches, resolved, tokens))}
        taken = [self._settle(batch) for batch in batches]
        for block in resolved:
            _refuse_unresolved(block, tokens, refusals)
        for batch in batches:
            self._refuse_judged(batch, resolved, tokens, refusals, now_ms)
        refused, unheard = self._refused(refusals)
        announced |= {entry.key: entry for entry in unheard}
        return Judgement(
            devices=list(announced.values()),
            taken=[rows for rows in taken if len(rows.readings)],
            bad_rows=refusals.bad_rows,
            refused=refused,
            counts=_counts([decoded.count for _, decoded in requests], batches, taken, refusals),
        )

    def _batches(self, resolved: Sequence[Resolved]) -> list[Batch]:
        type_ids = {i for block in resolved for i in few(block.type_ids[block.codes == 0])} - {NO_TYPE}
        for type_id in type_ids - set(self.directory.types):
            for block in resolved:
                for at in np.flatnonzero(block.type_ids == type_id).tolist():
                    block.codes[at] = Reason.unknown_type
                    block.messages[at] = (
                        f"the type of device {block.block.device_ids[at]!r} is not known to this server"
                    )
        return [gather(i, self.directory.types[i], resolved) for i in sorted(type_ids & set(self.directory.types))]

    def _register(self, newcomers: Newcomers, batches: Sequence[Batch], now_ms: int) -> list[DeviceEntry]:
        """Register the devices that may be, and put their keys in.

        One whose rows are all refused too, or nobody would see that it sends; but not where they name sensors that the
        type doesn't have: then the type may be a slip, and a device keeps its type.
        """
        for batch in batches:
            batch.keys[(batch.keys < 0) & (batch.codes == Reason.unknown_sensor)] = 0
        coming = sorted({int(i) for batch in batches for i in batch.keys[batch.keys < 0]})
        entries: dict[int, DeviceEntry] = {}
        for owner in sorted({newcomers.of(i).owner_id for i in coming}):
            theirs = [i for i in reversed(coming) if newcomers.of(i).owner_id == owner]
            items = [(new.device_id, new.type_id, new.site) for new in map(newcomers.of, theirs)]
            entries.update(zip(theirs, self.directory.register(owner, items, now_ms), strict=True))
        for batch in batches:
            for at in np.flatnonzero(batch.keys < 0).tolist():
                entry = entries[int(batch.keys[at])]
                batch.keys[at] = entry.key
                if entry.type_id != batch.type_id and batch.codes[at] == 0:
                    batch.codes[at] = Reason.wrong_type
                    batch.messages[at] = (
                        f"device {entry.device_id!r} is of another type than {batch.device_type.name!r}"
                    )
        return list(entries.values())

    def _first_heard(
        self, batches: Sequence[Batch], resolved: Sequence[Resolved], tokens: Sequence[TokenInfo]
    ) -> Iterator[DeviceEntry]:
        """Known devices that send for the first time: the log has yet to say who they are."""
        for batch in batches:
            self._reach(batch.keys)
            fine = np.flatnonzero(batch.codes == 0)
            new = fine[self._newest[batch.keys[fine]] == NEVER]
            for at in new[np.unique(batch.keys[new], return_index=True)[1]].tolist():
                found, place = resolved[int(batch.blocks[at])], int(batch.places[at])
                if found.keys[place] > 0:
                    site_id = int(found.site_ids[place])
                    yield DeviceEntry(
                        int(found.keys[place]),
                        found.block.device_ids[place],
                        batch.type_id,
                        tokens[int(batch.requests[at])].owner_id,
                        None if site_id < 0 else site_id,
                    )

    def _settle(self, batch: Batch) -> Taken:
        fine = np.flatnonzero(batch.codes == 0)
        keys, ts, values = batch.keys[fine], batch.ts[fine], batch.values[fine]
        recent = self._recent.setdefault(batch.type_id, RecentRows())
        settled = quality.settle(keys, ts, values, self._newest, recent)
        batch.codes[fine] = settled.codes
        batch.present = {int(fine[at]): present for at, present in settled.present.items()}
        taken = settled.codes == 0
        if taken.all():
            return Taken(Readings(batch.type_id, keys, ts, values), settled.unchecked)
        return Taken(Readings(batch.type_id, keys, ts, values).take(taken), settled.unchecked[taken])

    def _refuse_judged(
        self,
        batch: Batch,
        resolved: Sequence[Resolved],
        tokens: Sequence[TokenInfo],
        refusals: Refusals,
        now_ms: int,
    ) -> None:
        for at in np.flatnonzero((batch.codes != 0) & (batch.codes != Reason.duplicate)).tolist():
            block, place = resolved[int(batch.blocks[at])].block, int(batch.places[at])
            request = int(batch.requests[at])
            row = BadRow(
                owner_id=tokens[request].owner_id,
                type_id=batch.type_id,
                device_id=block.device_ids[place],
                reason=Reason(batch.codes[at]).name,
                message=self._message(batch, at, block, place, now_ms),
                raw=block.raw(place),
            )
            refusals.add(request, int(block.numbers[place]), row, self._outside(batch, at, now_ms))

    def _outside(self, batch: Batch, at: int, now_ms: int) -> tuple[int, int] | None:
        """Time of a row out of range, and a bit for each sensor that is; None for other rows, and for a wrong time."""
        ts = int(batch.ts[at])
        if batch.codes[at] != Reason.out_of_range or not (
            now_ms - self.limits.age_ms <= ts <= now_ms + self.limits.ahead_ms
        ):
            return None
        return ts, quality.outside_bits(batch.values[at], batch.device_type)

    def _refused(self, refusals: Refusals) -> tuple[list[Refused], list[DeviceEntry]]:
        """The known devices that bad rows are of, and those of them that the log has yet to be told of."""
        refused: list[Refused] = []
        unheard: list[DeviceEntry] = []
        for owner in {row.owner_id for row in refusals.bad_rows if row.owner_id is not None}:
            places = [at for at, row in enumerate(refusals.bad_rows) if row.owner_id == owner and _of_device(row)]
            names = [refusals.bad_rows[at].device_id for at in places]
            found = self.directory.find(owner, pl.Series(names, dtype=pl.String))
            self._reach(found.keys)
            for which in np.flatnonzero(found.keys > 0).tolist():
                key, site_id = int(found.keys[which]), int(found.site_ids[which])
                refused.append(Refused(key, *refusals.outside.get(places[which], (0, 0))))
                if self._newest[key] == NEVER:
                    type_id, site = int(found.type_ids[which]), None if site_id < 0 else site_id
                    unheard.append(DeviceEntry(key, names[which], type_id, owner, site))
        return refused, unheard

    def _message(self, batch: Batch, at: int, block: Block, place: int, now_ms: int) -> str:
        if at in batch.messages:
            return batch.messages[at]
        code, ts, values = int(batch.codes[at]), int(batch.ts[at]), batch.values[at]
        if code == Reason.conflict:
            return quality.explain_conflict(ts, values, batch.present[at], batch.device_type)
        if code == Reason.unknown_sensor:
            theirs = set(batch.device_type.sensor_names)
            sent = ~np.isnan(block.values[place])
            strange = [name for name, there in zip(block.sensors, sent, strict=True) if there and name not in theirs]
            if strange:
                return quality.unknown_sensor(strange, batch.device_type)
        return quality.explain_row(code, ts, values, batch.device_type, now_ms, self.limits)

    def _reach(self, keys: Ints) -> None:
        """Make `newest` long enough for these keys."""
        last = int(keys.max()) if len(keys) else -1
        if last >= len(self._newest):
            grown = np.full(max(last + 1, 2 * len(self._newest)), NEVER, np.int64)
            grown[: len(self._newest)] = self._newest
            self._newest = grown


def _of_device(row: BadRow) -> bool:
    """Whether a bad row says something of the device that it names: its sender may be somebody else."""
    return bool(row.device_id) and row.reason != Reason.forbidden_device.name


def _blocks(
    requests: Sequence[tuple[TokenInfo, Decoded]], tokens: Sequence[TokenInfo], refusals: Refusals
) -> list[Block]:
    """All rows in blocks; small requests share theirs. What could not be read is refused on the way."""
    blocks: list[Block] = []
    rows: list[Row] = []
    numbers: list[int] = []
    senders: list[int] = []
    unread = []
    for request, (_, decoded) in enumerate(requests):
        rows.extend(decoded.rows)
        numbers.extend(decoded.numbers)
        senders.extend([request] * len(decoded.rows))
        for block in decoded.blocks:
            blocks.append(replace(block, requests=np.full(len(block), request, np.int64)))
        unread += [(request, row) for row in decoded.unread]
    if rows:
        shared, without_time = into_columns(rows, numbers, senders)
        blocks += shared
        unread += without_time
    for request, row in unread:
        owner = tokens[request].owner_id
        bad = BadRow(owner, None, row.device_id, row.reason.name, row.message, row.raw)
        refusals.add(request, row.number, bad)
    return [block for block in blocks if len(block)]


def _refuse_unresolved(resolved: Resolved, tokens: Sequence[TokenInfo], refusals: Refusals) -> None:
    block = resolved.block
    for at in np.flatnonzero(resolved.codes).tolist():
        request = int(block.requests[at])
        type_id = int(resolved.type_ids[at])
        row = BadRow(
            owner_id=tokens[request].owner_id,
            type_id=None if type_id == NO_TYPE else type_id,
            device_id=block.device_ids[at],
            reason=Reason(resolved.codes[at]).name,
            message=resolved.messages[at],
            raw=block.raw(at),
        )
        refusals.add(request, int(block.numbers[at]), row)


def _counts(sent: Sequence[int], batches: Sequence[Batch], taken: Sequence[Taken], refusals: Refusals) -> list[Counts]:
    n = len(sent)
    accepted, duplicate, unchecked = np.zeros(n, np.int64), np.zeros(n, np.int64), np.zeros(n, np.int64)
    for batch, rows in zip(batches, taken, strict=True):
        fine = batch.requests[batch.codes == 0]
        accepted += np.bincount(fine, minlength=n)
        unchecked += np.bincount(fine[rows.unchecked], minlength=n)
        duplicate += np.bincount(batch.requests[batch.codes == Reason.duplicate], minlength=n)
    columns = zip(sent, accepted.tolist(), duplicate.tolist(), unchecked.tolist(), strict=True)
    return [
        Counts(
            accepted=took,
            duplicate=twice,
            rejected=rows - took - twice,
            unchecked=doubtful,
            reasons=refusals.reasons(request),
            examples=refusals.examples(request),
        )
        for request, (rows, took, twice, doubtful) in enumerate(columns)
    ]
