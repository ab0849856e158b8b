"""`Changes`: whether the database may have changed since the last look, for who would ask it again and again."""

import sqlite3
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from sqlalchemy import Engine, PoolProxiedConnection
from sqlalchemy.exc import SQLAlchemyError

LOOK_S = 5.0
"""After this long it may have changed whatever it says itself: its file may be another one."""


class Changes:
    """SQLite counts what others commit, which is had for a thousandth of what a question costs.

    Of PostgreSQL it is always said that it may have changed. For one thread, which closes it.
    """

    def __init__(self, engine: Engine, clock: Callable[[], float] = time.monotonic) -> None:
        self._engine = engine
        self._clock = clock
        self._sqlite = engine.dialect.name == "sqlite"
        self._connection: PoolProxiedConnection | None = None
        self._version: int | None = None
        self._looked_s = -LOOK_S

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._let_go()

    def any(self) -> bool:
        """Whether there may have been some since this was asked before; True the first time."""
        if not self._sqlite:
            return True
        before, self._version = self._version, self._ask()
        now_s = self._clock()
        if self._version is None or self._version != before or now_s - self._looked_s >= LOOK_S:
            self._looked_s = now_s
            return True
        return False

    def _ask(self) -> int | None:
        """SQLite's count, None where it can't be had."""
        try:
            if self._connection is None:
                self._connection = self._engine.raw_connection()
            cursor = self._connection.cursor()
            cursor.execute("PRAGMA data_version")
            row = cursor.fetchone()
            cursor.close()
        except (sqlite3.Error, SQLAlchemyError):
            self._let_go()
            return None
        return None if row is None else int(row[0])

    def _let_go(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
