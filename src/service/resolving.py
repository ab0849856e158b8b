"""Find the device and the type of each row of a block, by the names its sender gave them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..fleet.known_devices import Found
from ..fleet.tokens import TokenInfo
from ..telemetry.quality import Codes, Reason
from .decoded import Block, Names
from .directory import Directory, cannot_register

NO_TYPE = -1
_UNKNOWN = -2
"""Stands for a name that is no type's."""


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
    """A block with its devices: `keys` int64 (n,), negative for newcomers; `type_ids`, `site_ids` int64 (n,), -1: none.

    `codes` uint8 (n,) says why a row has no device; `messages` says it in words, by row.
    """

    block: Block
    keys: npt.NDArray[np.int64]
    type_ids: npt.NDArray[np.int64]
    site_ids: npt.NDArray[np.int64]
    codes: Codes
    messages: dict[int, str]


def resolve(block: Block, tokens: Sequence[TokenInfo], directory: Directory, newcomers: Newcomers) -> Resolved:
    """Find the devices of a block; `tokens` by the number of the request.

    Devices of another owner look unknown. Who may register gets unknown devices into `newcomers`.
    """
    senders = few(block.requests)
    found = _find(block, senders, tokens, directory)
    keys = np.maximum(found.keys, 0)
    resolved = Resolved(block, keys, found.type_ids, found.site_ids, np.zeros(len(block), np.uint8), {})
    if any(tokens[sender].device_ids is not None for sender in senders):
        _refuse_forbidden(resolved, tokens)
    if block.types is not None:
        _check_types(resolved, block.types, senders, tokens, directory)
    for at in np.flatnonzero((resolved.type_ids == NO_TYPE) & (resolved.codes == 0)).tolist():
        _admit(resolved, at, tokens[block.requests[at]], directory, newcomers)
    return resolved


def few(numbers: npt.NDArray[np.int64]) -> set[int]:
    """The numbers in an array (n,) that holds few different ones, each many times: a look at each run of them."""
    if not len(numbers):
        return set()
    return set(numbers[np.r_[True, numbers[1:] != numbers[:-1]]].tolist())


def _rows_of(
    owners: set[int], requests: npt.NDArray[np.int64], tokens: Sequence[TokenInfo]
) -> Iterator[tuple[int, slice | npt.NDArray[np.intp]]]:
    """Each of these owners, and which rows are theirs."""
    if len(owners) == 1:
        yield owners.pop(), slice(None)
        return
    owner_of = np.array([token.owner_id for token in tokens], np.int64)
    for owner in sorted(owners):
        yield owner, np.flatnonzero(owner_of[requests] == owner)


def _find(block: Block, senders: set[int], tokens: Sequence[TokenInfo], directory: Directory) -> Found:
    owners = {tokens[sender].owner_id for sender in senders}
    if len(owners) == 1:
        return directory.find(owners.pop(), block.device_ids)
    found = Found(*np.full((3, len(block)), -1, np.int64))
    for owner, rows in _rows_of(owners, block.requests, tokens):
        theirs = directory.find(owner, block.device_ids[rows])
        found.keys[rows], found.type_ids[rows], found.site_ids[rows] = theirs.keys, theirs.type_ids, theirs.site_ids
    return found


def _refuse(resolved: Resolved, at: int, reason: Reason, message: str) -> None:
    resolved.codes[at] = reason
    resolved.messages[at] = message


def _refuse_forbidden(resolved: Resolved, tokens: Sequence[TokenInfo]) -> None:
    block = resolved.block
    for at, (sender, device_id) in enumerate(zip(block.requests.tolist(), block.device_ids.to_list(), strict=True)):
        allowed = tokens[sender].device_ids
        if allowed is not None and device_id not in allowed:
            message = f"this token may not write device {device_id!r}: it is for {_some(sorted(allowed))} only"
            _refuse(resolved, at, Reason.forbidden_device, message)


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:3])
    return shown + (f" and {len(names) - 3} more" if len(names) > 3 else "") if names else "no device"


def _check_types(
    resolved: Resolved, names: Names, senders: set[int], tokens: Sequence[TokenInfo], directory: Directory
) -> None:
    """Refuse rows that name a type which is none, or not their device's."""
    wanted = np.full(len(names.which), NO_TYPE, np.int64)
    for owner, rows in _rows_of({tokens[sender].owner_id for sender in senders}, resolved.block.requests, tokens):
        meant = [NO_TYPE if name is None else directory.type_id(owner, name) for name in names.names]
        numbers = np.array([_UNKNOWN if type_id is None else type_id for type_id in meant], np.int64)
        wanted[rows] = numbers[names.which[rows]]
    for at in np.flatnonzero((wanted == _UNKNOWN) & (resolved.codes == 0)).tolist():
        message = f"there is no device type {names[at]!r}: add it with `faultwatch types add`, or name another"
        _refuse(resolved, at, Reason.unknown_type, message)
    wrong = (wanted >= 0) & (resolved.type_ids != NO_TYPE) & (wanted != resolved.type_ids)
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
