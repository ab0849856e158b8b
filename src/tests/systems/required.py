"""Which systems of this machine the tests may use, and which of them they must.

`FAULTWATCH_REQUIRE=chromium,postgresql` says that a run without those is a failure; a system that isn't
named there and isn't here makes its tests skip, by name.
"""

import os
import re
from collections.abc import Callable
from typing import NoReturn

import pytest

from . import caddy, chromium, nginx, postgresql, prometheus, shared_data, systemd, terraform

VARIABLE = "FAULTWATCH_REQUIRE"
REQUIRED = tuple(name for name in re.split(r"[,\s]+", os.environ.get(VARIABLE, "")) if name)
"""The systems this run may not do without. Read once: tests run without FAULTWATCH_* in their environment."""

LOOK: dict[str, Callable[[], str | None]] = {
    "caddy": caddy.why_absent,
    "chromium": chromium.why_absent,
    "nginx": nginx.why_absent,
    "postgresql": postgresql.why_absent,
    "prometheus": prometheus.why_absent,
    "shared-data": shared_data.why_absent,
    "systemd": systemd.why_absent,
    "terraform": terraform.why_absent,
}
"""A system's name, and the look for it: None when it is here, else what is missing."""


def complaints() -> list[str]:
    """One line for each required system that is absent or unknown."""
    found = []
    for name in REQUIRED:
        if name not in LOOK:
            found.append(f"{VARIABLE} names {name!r}, which is none of {', '.join(LOOK)}")
        elif reason := LOOK[name]():
            found.append(f"{name} is required ({VARIABLE}) and absent: {reason}")
    return found


def inventory() -> list[str]:
    """One line for each system: here, or what its tests will be skipped for."""
    return [f"{name}: {LOOK[name]() or 'here'}" for name in LOOK]


def skip_or_fail_if_absent(name: str) -> None:
    """Let a fixture go on when its system is here; else skip its test, or fail it where the system is required."""
    if reason := LOOK[name]():
        _absent(name, reason)


def _absent(name: str, reason: str) -> NoReturn:
    if name in REQUIRED:
        pytest.fail(f"{name} is required ({VARIABLE}) and absent: {reason}", pytrace=False)
    pytest.skip(f"{name}: {reason}")
