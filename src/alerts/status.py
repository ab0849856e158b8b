"""The status of a device: one word out of what is true of it, by precedence."""

from enum import IntEnum

import numpy as np
import numpy.typing as npt

Booleans = npt.NDArray[np.bool_]


class Status(IntEnum):
    """What a device is, in the order of the published snapshot's codes."""

    LEARNING = 0
    HEALTHY = 1
    SUSPECT = 2
    FAULTY = 3
    SILENT = 4
    MAINTENANCE = 5


def status(
    maintenance: Booleans, silent: Booleans, faulty: Booleans, suspect: Booleans, learning: Booleans
) -> npt.NDArray[np.uint8]:
    """Return the `Status` codes of devices, (n,), from what is true of each, bool (n,).

    Precedence: maintenance > silent > faulty > suspect > learning > healthy.
    """
    order = (Status.MAINTENANCE, Status.SILENT, Status.FAULTY, Status.SUSPECT, Status.LEARNING)
    codes = [np.uint8(code) for code in order]
    return np.select([maintenance, silent, faulty, suspect, learning], codes, np.uint8(Status.HEALTHY))


def codes_of_flags() -> npt.NDArray[np.uint8]:
    """Return the code for every combination of `status`'s arguments, uint8 (32,); argument i is bit i of the place."""
    flags = np.arange(32)
    return status(*((flags & (1 << argument) != 0) for argument in range(5)))
