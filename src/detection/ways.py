"""Ways in which a sensor can be odd."""

from enum import IntEnum

from . import kernel


class Way(IntEnum):
    """What `Scores.way` says: a channel of the kernel, or that sensors are odd together, each within its own range."""

    AT_ONCE = kernel.INNOVATION
    MINUTES = kernel.SMOOTH_FAST
    HOUR = kernel.SMOOTH_HOUR
    DAY = kernel.SMOOTH_DAY
    NOISY = kernel.NOISY
    JUMPY = kernel.JUMPY
    TOGETHER = kernel.TOGETHER
    NONE = kernel.NO_WAY
