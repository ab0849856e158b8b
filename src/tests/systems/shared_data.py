"""The prepared data beside the checkout (`../shared/data`): real recordings that may not be copied into it."""

import os
from pathlib import Path

BESIDE = Path(__file__).parents[3].parent / "shared" / "data"
FOLDER = Path(os.environ.get("FAULTWATCH_SHARED_DATA") or BESIDE)
"""Where the data is expected. Read once: tests run without FAULTWATCH_* in their environment."""


def why_absent() -> str | None:
    """None when the data is here, else where it was looked for."""
    if (FOLDER / "skab").is_dir():
        return None
    return f"no {FOLDER / 'skab'}; set FAULTWATCH_SHARED_DATA to the folder that holds skab/ and cmapss/"
