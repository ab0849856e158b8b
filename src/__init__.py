"""faultwatch: which devices of a fleet are faulty or behave strangely, since when, and why."""

import sys

__version__ = "0.1.0"

# `faultwatch` (installed) and `src` (from a checkout) are the same files; loaded under both names in one
# process they would be two packages, with two different `FaultwatchError`s.
_OTHER = {"faultwatch": "src", "src": "faultwatch"}.get(__name__, "")
_other_package = sys.modules.get(_OTHER)
if _other_package is not None and getattr(_other_package, "__path__", None) == __path__:
    raise ImportError(
        f"this process has already imported {_OTHER!r}; importing {__name__!r} as well would load it twice"
    )
