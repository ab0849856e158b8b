"""`Columns`: a struct of arrays with one row a device, which grows."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.generic]


@dataclass(frozen=True, slots=True)
class Column:
    """A column's dtype, the value of a new row, and its width (0: one number a row)."""

    dtype: str
    fill: float
    width: int = 0


class Columns:
    """Named arrays of equal length, (n,) or (n, width), whose rows are added at the end."""

    def __init__(self, columns: Mapping[str, Column]) -> None:
        self._columns = dict(columns)
        self._n = 0
        self._arrays = {name: self._blank(column, 0) for name, column in self._columns.items()}

    @staticmethod
    def _blank(column: Column, n: int) -> Array:
        shape = (n, column.width) if column.width else (n,)
        return np.full(shape, column.fill, column.dtype)

    def __len__(self) -> int:
        return self._n

    def __getitem__(self, name: str) -> Array:
        return self._arrays[name][: self._n]

    def int64(self, name: str) -> npt.NDArray[np.int64]:
        """A column of int64; a view, (n,)."""
        return cast(npt.NDArray[np.int64], self[name])

    def float32(self, name: str) -> npt.NDArray[np.float32]:
        """A column of float32; a view, (n,) or (n, width)."""
        return cast(npt.NDArray[np.float32], self[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def resize(self, n: int) -> None:
        """Make it at least n rows long; new rows hold each column's fill."""
        if n <= self._n:
            return
        for name, array in self._arrays.items():
            if n > len(array):
                grown = self._blank(self._columns[name], max(n, 2 * len(array), 64))
                grown[: self._n] = array[: self._n]
                self._arrays[name] = grown
        self._n = n

    def widen(self, width: int) -> None:
        """Give every two-dimensional column more places at its right, filled as new rows are."""
        for name, column in self._columns.items():
            if column.width and column.width < width:
                wider = Column(column.dtype, column.fill, width)
                grown = self._blank(wider, len(self._arrays[name]))
                grown[:, : column.width] = self._arrays[name]
                self._columns[name], self._arrays[name] = wider, grown

    def to_arrays(self) -> dict[str, Array]:
        """What a checkpoint keeps; views, not copies."""
        return {name: self[name] for name in self._columns}

    def load(self, arrays: Mapping[str, Array]) -> None:
        """Take over the arrays of a checkpoint; columns it doesn't have keep their fill."""
        n = len(next(iter(arrays.values()))) if arrays else 0
        self.resize(n)
        for name in self._columns:
            if name in arrays:
                self[name][...] = arrays[name]
