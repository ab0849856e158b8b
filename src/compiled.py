"""`compiled`: machine code for loops over rows, kept on disk."""

import hashlib
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TypeVar, cast

F = TypeVar("F", bound=Callable[..., object])


def compiled(function: F, *signatures: object) -> F:
    """Compile `function`, for these signatures now or for what comes on its first call; it runs without the GIL.

    Floating-point rules stay strict (no reassociation, no contraction): the same inputs give the same bytes
    whatever the length of the loop around them. Numba is imported here, not before.
    """
    from numba import njit

    # numba names the file it keeps by module and function, and looks at the date of that one source file. But loops
    # call loops of other modules of their room, and the code on disk names its package: `src` in one process,
    # `faultwatch` in another. So both go into the name.
    room = Path(sys.modules[function.__module__].__file__ or "").parent
    function.__qualname__ = f"{function.__qualname__}_{_sources(room, function.__module__.partition('.')[0])}"
    return cast(F, njit(list(signatures) or None, cache=True, nogil=True, error_model="numpy")(function))


@cache
def _sources(room: Path, package: str) -> str:
    """A name for a package and the sources of all modules of one of its rooms."""
    digest = hashlib.sha256(package.encode())
    for path in sorted(room.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]
