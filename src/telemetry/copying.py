"""What has to be copied of log, checkpoints and lake, so that the copy is as whole as the original, while both grow."""

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from ..exceptions import StorageError
from .segments import HEADER_BYTES, SegmentReader, list_segments

LOG_OF_TABLE = "_delta_log"


def end_of_log(folder: Path) -> int:
    """The number of the last whole record of a log, or the one before its first where it has none yet."""
    segments = list_segments(folder)
    if not segments:
        return 0
    first, path = segments[-1]
    with path.open("rb") as file:
        reader = SegmentReader(file, first)
        for _ in reader.frames():
            pass
    return reader.next_seq - 1


def log_through(folder: Path, seq: int) -> Iterator[tuple[Path, int]]:
    """Segments of a log and how many bytes of each hold its records up to `seq`; every record is checked on the way.

    Raises StorageError where a record before that is damaged or missing.
    """
    reached = None
    for first, path in list_segments(folder):
        if first > seq + 1:
            break
        if reached is not None and first != reached + 1:
            raise StorageError(f"the log in {folder} has no record {reached + 1}; `faultwatch doctor` says what to do")
        with path.open("rb") as file:
            reader = SegmentReader(file, first)
            for frame in reader.frames():
                if frame.seq >= seq:
                    break
            # A segment that was only just begun holds no record up to `seq`: its header, so that numbers go on.
            end = reader.offset if first <= seq else HEADER_BYTES
            reached = reader.next_seq - 1 if first <= seq else seq
        yield path, end
    if reached is not None and reached < seq:
        raise StorageError(
            f"the log in {folder} can be read up to record {reached}, but {seq} is in use; `faultwatch doctor` says"
            " what to do"
        )


def files_of_tables(lake: Path) -> Iterator[Path]:
    """Files of every table below a lake's folder, each table as its newest version has it; the log of a table first.

    What a table no longer needs is left out, and so is what comes after.
    """
    from deltalake import DeltaTable

    for log in sorted(lake.rglob(LOG_OF_TABLE)):
        table = DeltaTable(str(log.parent))
        version = table.version()
        for path in sorted(log.iterdir()):
            number = path.name.partition(".")[0]
            if number.isdecimal() and int(number) <= version and not path.name.endswith(".tmp"):
                yield path
        actions = pl.DataFrame(table.get_add_actions(flatten=True))
        yield from (log.parent / path for path in actions["path"])
