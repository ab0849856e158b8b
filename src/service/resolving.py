"""Find the device and the type of each row of a block, by the names its sender gave them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..fleet.tokens import TokenInfo
from ..telemetry.quality import Codes, Reason
from ..telemetry.records import DeviceEntry
from .decoded import Block
from .directory import Directory, cannot_register

NO_TYPE = -1


@dataclass(frozen=True, slots=True)
class Newcomer:
    """A device that its first reading may register; `type_id` is the type that reading names."""

    owner_id: int
    device_id: str
    type_id: int
    site: str | None


class Newcomers:
    """Devices to be registered, each once; number i stands in for a device key as -1 - i."""

    def __init__(self) -> None:
        self.all: list[Newcomer] = []
        self._numbers: dict[tuple[int, str], int] = {}

    def stand_in(self, newcomer: Newcomer) -> int:
        """The stand-in for this device's key: a negative number."""
        number = self._numbers.setdefault((newcomer.owner_id, newcomer.device_id), len(self.all))
        if number == len(self.all):
            self.all.append(newcomer)
        return -1 - number

    def of(self, stand_in: int) -> Newcomer:
        """The device that a negative key stands for."""
        return self.all[-1 - stand_in]


@dataclass(frozen=True, slots=True)
class Resolved:
    """A block with its devices: `keys` int64 (n,), negative for newcomers; `type_ids` int64 (n,), -1 for none.

    `codes` uint8 (n,) says why a row has no device; `messages` says it in words, by row.
    """

    block: Block
    entries: Sequence[DeviceEntry | None]
    keys: npt.NDArray[np.int64]
    type_ids: npt.NDArray[np.int64]
    codes: Codes
    messages: dict[int, str]


def resolve(block: Block, tokens: Sequence[TokenInfo], directory: Directory, newcomers: Newcomers) -> Resolved:
    """Find the devices of a block; `tokens` by the number of the request.

    Devices of another owner look unknown. Who may register gets unknown devices into `newcomers`.
    """
    senders = block.requests.tolist()
    entries = _entries(block, senders, tokens, directory)
    keys = np.array([0 if entry is None else entry.key for entry in entries], np.int64)
    type_ids = np.array([NO_TYPE if entry is None else entry.type_id for entry in entries], np.int64)
    resolved = Resolved(block, entries, keys, type_ids, np.zeros(len(block), np.uint8), {})
    if any(tokens[sender].device_ids is not None for sender in set(senders)):
        _refuse_forbidden(resolved, senders, tokens)
    if block.types is not None:
        _check_types(resolved, block.types, senders, tokens, directory)
    for at in np.flatnonzero((resolved.type_ids == NO_TYPE) & (resolved.codes == 0)).tolist():
        _admit(resolved, at, tokens[senders[at]], directory, newcomers)
    return resolved


def _entries(
    block: Block, senders: Sequence[int], tokens: Sequence[TokenInfo], directory: Directory
) -> Sequence[DeviceEntry | None]:
    owners = {tokens[sender].owner_id for sender in set(senders)}
    if len(owners) == 1:
        return directory.find(owners.pop(), block.device_ids)
    entries: list[DeviceEntry | None] = [None] * len(block)
    for owner in owners:
        rows = [at for at, sender in enumerate(senders) if tokens[sender].owner_id == owner]
        for at, entry in zip(rows, directory.find(owner, [block.device_ids[at] for at in rows]), strict=True):
            entries[at] = entry
    return entries


def _refuse(resolved: Resolved, at: int, reason: Reason, message: str) -> None:
    resolved.codes[at] = reason
    resolved.messages[at] = message


def _refuse_forbidden(resolved: Resolved, senders: Sequence[int], tokens: Sequence[TokenInfo]) -> None:
    for at, (sender, device_id) in enumerate(zip(senders, resolved.block.device_ids, strict=True)):
        allowed = tokens[sender].device_ids
        if allowed is not None and device_id not in allowed:
            message = f"this token may not write device {device_id!r}: it is for {_some(sorted(allowed))} only"
            _refuse(resolved, at, Reason.forbidden_device, message)


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:3])
    return shown + (f" and {len(names) - 3} more" if len(names) > 3 else "") if names else "no device"


def _check_types(
    resolved: Resolved,
    names: Sequence[str | None],
    senders: Sequence[int],
    tokens: Sequence[TokenInfo],
    directory: Directory,
) -> None:
    """Refuse rows that name a type which is none, or not their device's."""
    owners = {tokens[sender].owner_id for sender in set(senders)}
    wanted = np.full(len(names), NO_TYPE, np.int64)
    for owner in owners:
        theirs = np.ones(len(names), bool)
        if len(owners) > 1:
            theirs = np.fromiter((tokens[sender].owner_id == owner for sender in senders), bool, len(names))
        meant = {name: NO_TYPE if name is None else directory.type_id(owner, name) for name in set(names)}
        unknown = {name for name, type_id in meant.items() if type_id is None}
        if unknown:
            for at in np.flatnonzero(theirs & (resolved.codes == 0)).tolist():
                if (name := names[at]) in unknown:
                    message = f"there is no device type {name!r}: add it with `faultwatch types add`, or name another"
                    _refuse(resolved, at, Reason.unknown_type, message)
        numbers = {name: NO_TYPE if type_id is None else type_id for name, type_id in meant.items()}
        wanted[theirs] = np.fromiter(map(numbers.__getitem__, names), np.int64, len(names))[theirs]
    wrong = (wanted != NO_TYPE) & (resolved.type_ids != NO_TYPE) & (wanted != resolved.type_ids)
    for at in np.flatnonzero(wrong & (resolved.codes == 0)).tolist():
        _refuse(resolved, at, Reason.wrong_type, _wrong_type(resolved, at, int(resolved.type_ids[at]), directory))


def _wrong_type(resolved: Resolved, at: int, type_id: int, directory: Directory) -> str:
    device_type = directory.types.get(type_id)
    theirs = "another type" if device_type is None else f"a {device_type.name!r}"
    named = resolved.block.types[at] if resolved.block.types is not None else None
    return f"device {resolved.block.device_ids[at]!r} is {theirs}, but the row names type {named!r}"


def _admit(resolved: Resolved, at: int, token: TokenInfo, directory: Directory, newcomers: Newcomers) -> None:
    """Let an unknown device register, or say why it can't."""
    device_id = resolved.block.device_ids[at]
    name = resolved.block.types[at] if resolved.block.types is not None else None
    site = resolved.block.sites[at] if resolved.block.sites is not None else None
    if not token.may_register:
        message = f"device {device_id!r} is not known, and this token may not register devices"
        return _refuse(resolved, at, Reason.unknown_device, message)
    if name is None:
        message = f"device {device_id!r} is not known: name its type, so that it can be registered"
        return _refuse(resolved, at, Reason.unknown_device, message)
    if complaint := cannot_register(device_id, site):
        return _refuse(resolved, at, Reason.unparsable, complaint)
    type_id = directory.type_id(token.owner_id, name)
    assert type_id is not None, "_check_types refuses rows of unknown types"
    stand_in = newcomers.stand_in(Newcomer(token.owner_id, device_id, type_id, site))
    first = newcomers.of(stand_in)
    if first.type_id != type_id:
        message = _wrong_type(resolved, at, first.type_id, directory)
        return _refuse(resolved, at, Reason.wrong_type, message)
    resolved.keys[at] = stand_in
    resolved.type_ids[at] = type_id
    return None
