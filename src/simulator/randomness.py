"""Random numbers that are functions of (key, counter), so that a reading depends on nothing before it.

A key is a 64-bit number made from seed, device and channel; a counter is the number of the reading. There is no
generator with a state: any reading can be made alone, and comes out the same as in a run of years.
"""

import numpy as np
from numpy.typing import NDArray

from ..compiled import compiled

Floats = NDArray[np.float64]

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
CHANNEL = np.uint64(0xD1342543DE82EF95)
FIRST = np.uint64(0xBF58476D1CE4E5B9)
SECOND = np.uint64(0x94D049BB133111EB)
LANE = np.uint64(0xFFFF)
S11, S16, S27, S30, S31, S32, S48 = (np.uint64(shift) for shift in (11, 16, 27, 30, 31, 32, 48))
TO_UNIT = 2.0**-53


@compiled
def bits(key: np.uint64, counter: int) -> np.uint64:
    """Return 64 random bits: number `counter` of the SplitMix64 stream that starts at `key`.

    Source: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.
    """
    z = key + np.uint64(counter) * GOLDEN
    z = (z ^ (z >> S30)) * FIRST
    z = (z ^ (z >> S27)) * SECOND
    return z ^ (z >> S31)


@compiled
def subkey(key: np.uint64, channel: int) -> np.uint64:
    """Return the key of one channel (a sensor's noise, a device's offset) below `key`."""
    return bits(key ^ CHANNEL, channel)


@compiled
def uniform(key: np.uint64, counter: int) -> float:
    """Return a number in [0, 1)."""
    return float(bits(key, counter) >> S11) * TO_UNIT


@compiled
def normal(key: np.uint64, counter: int) -> float:
    """Return a number of mean 0, variance 1 and normal kurtosis, within +-4.1.

    The sum of the four 16-bit lanes of one draw, bent by a cubic that gives back the kurtosis which a sum of
    four lacks (Cornish and Fisher, 1938): no table, no branch, no logarithm.
    """
    z = bits(key, counter)
    lanes = float((z & LANE) + ((z >> S16) & LANE) + ((z >> S32) & LANE) + (z >> S48))
    x = (lanes - 131070.0) * (1.0 / 37837.227)
    return x * (0.949062 + 0.018625 * x * x)


@compiled
def add_wander(buffer: Floats, key: np.uint64, first: int, cell: int, amplitude: float) -> None:
    """Add smooth noise of standard deviation `amplitude` to `buffer`, whose first element is reading `first`.

    One normal number stands at every `cell`-th reading; between two of them the noise goes from one to the
    other with constant variance. A few of these at several cell lengths look like an autoregressive process,
    and any stretch of it can be made alone.
    """
    n = buffer.shape[0]
    if cell <= 1:
        for i in range(n):
            buffer[i] += amplitude * normal(key, first + i)
        return
    node = first // cell
    left = normal(key, node)
    i = 0
    step = 1.0 / cell
    while i < n:
        right = normal(key, node + 1)
        start = first + i - node * cell
        stop = min(n, i + cell - start)
        for j in range(i, stop):
            u = float(first + j - node * cell) * step
            v = 1.0 - u
            buffer[j] += amplitude * (v * left + u * right) / np.sqrt(u * u + v * v)
        i = stop
        node += 1
        left = right


@compiled
def autoregression(key: np.uint64, node: int, phi: float, memory: int) -> float:
    """Return element `node` of a first-order autoregressive process of variance 1.

    Written as the weighted sum of its last `memory` innovations: the process without its past.
    """
    total = 0.0
    weight = np.sqrt(1.0 - phi * phi)
    for back in range(memory):
        total += weight * normal(key, node - back)
        weight *= phi
    return total


@compiled
def add_autoregression(
    buffer: Floats, key: np.uint64, first: int, cell: int, phi: float, memory: int, amplitude: float
) -> None:
    """Add an autoregressive process with one step every `cell` readings, straight lines between, to `buffer`."""
    n = buffer.shape[0]
    node = first // cell
    left = autoregression(key, node, phi, memory)
    i = 0
    while i < n:
        right = autoregression(key, node + 1, phi, memory)
        stop = min(n, (node + 1) * cell - first)
        for j in range(i, stop):
            u = float(first + j - node * cell) / cell
            buffer[j] += amplitude * ((1.0 - u) * left + u * right)
        i = stop
        node += 1
        left = right


@compiled
def keys_of(seed: int, family: int, numbers: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Return the keys (n,) of the members of a family (sites, devices of a type) of the fleet with `seed`."""
    root = subkey(subkey(np.uint64(seed), 1), family)
    out = np.empty(numbers.shape[0], np.uint64)
    for i in range(numbers.shape[0]):
        out[i] = subkey(root, numbers[i])
    return out
