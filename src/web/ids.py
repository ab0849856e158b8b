"""Ids in addresses, within what the databases can count: a larger one is no id of anything."""

from typing import Annotated

from fastapi import Path, Query
from pydantic import Field

MOST = 2**63 - 1

Id = Annotated[int, Path(ge=1, le=2**31 - 1)]
"""The id of a row of most tables."""

AlertId = Annotated[int, Path(ge=1, le=MOST)]
ChosenAlert = Annotated[int | None, Query(ge=1, le=MOST)]
AlertNumber = Annotated[int, Field(ge=1, le=MOST)]
