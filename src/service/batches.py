"""`Batch`: rows of one device type, gathered from the blocks of all requests."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from ..telemetry.quality import Codes, Reason, cut_timestamps
from ..telemetry.schema import DeviceType
from .resolving import Resolved

Ints = npt.NDArray[np.int64]


@dataclass(slots=True)
class Batch:
    """n rows of one type in the order they were sent.

    `keys`, `ts` (cut), `requests` int64 (n,); `values` float64 (n, n_sensors); `blocks` and `places` int64
    (n,): which block a row is from, and which row of it. `codes` uint8 (n,) says which rows are not taken;
    `messages` why, where that can't be told from the row; `present` the values it is in conflict with.
    """

    type_id: int
    device_type: DeviceType
    keys: Ints
    ts: Ints
    values: npt.NDArray[np.float64]
    requests: Ints
    blocks: Ints
    places: Ints
    codes: Codes
    messages: dict[int, str] = field(default_factory=dict)
    present: dict[int, npt.NDArray[np.float64]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.keys)


def gather(type_id: int, device_type: DeviceType, resolved: Sequence[Resolved]) -> Batch:
    """Gather the rows of a type; those that name sensors it does not have are marked."""
    parts = [
        _part(type_id, device_type, number, block)
        for number, block in enumerate(resolved)
        if ((block.type_ids == type_id) & (block.codes == 0)).any()
    ]
    if len(parts) == 1:
        return parts[0]
    requests = np.concatenate([part.requests for part in parts])
    numbers = np.concatenate([resolved[int(part.blocks[0])].block.numbers[part.places] for part in parts])
    order = np.lexsort((numbers, requests))
    return Batch(
        type_id=type_id,
        device_type=device_type,
        keys=np.concatenate([part.keys for part in parts])[order],
        ts=np.concatenate([part.ts for part in parts])[order],
        values=np.concatenate([part.values for part in parts])[order],
        requests=requests[order],
        blocks=np.concatenate([part.blocks for part in parts])[order],
        places=np.concatenate([part.places for part in parts])[order],
        codes=np.concatenate([part.codes for part in parts])[order],
    )


def _part(type_id: int, device_type: DeviceType, number: int, resolved: Resolved) -> Batch:
    block = resolved.block
    rows = np.flatnonzero((resolved.type_ids == type_id) & (resolved.codes == 0))
    sent = block.values if len(rows) == len(block) else block.values[rows]
    position = {name: i for i, name in enumerate(device_type.sensor_names)}
    known = [i for i, name in enumerate(block.sensors) if name in position]
    strange = [i for i, name in enumerate(block.sensors) if name not in position]
    if block.sensors == device_type.sensor_names:
        values = np.ascontiguousarray(sent)
    else:
        values = np.full((len(rows), len(position)), np.nan)
        values[:, [position[block.sensors[i]] for i in known]] = sent[:, known]
    codes = np.zeros(len(rows), np.uint8)
    if strange:
        codes[~np.isnan(sent[:, strange]).all(axis=1)] = Reason.unknown_sensor
    return Batch(
        type_id=type_id,
        device_type=device_type,
        keys=resolved.keys[rows],
        ts=cut_timestamps(block.ts[rows], device_type.resolution_ms),
        values=values,
        requests=block.requests[rows],
        blocks=np.full(len(rows), number, np.int64),
        places=rows.astype(np.int64),
        codes=codes,
    )
