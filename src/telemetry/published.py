"""What pages need sooner than the lake has it: every device's last reading, and the newest scored rows.

The shard writes, pages in any process read. Each file is replaced atomically; who has the old one open
keeps it. Nothing here is needed to recover: a shard that starts publishes anew.

A page that wants rows up to now lists the tail FIRST and opens the lake AFTER (`read_recent`): a tail
file goes only after the lake has its rows, so none is missed, and of the tail only rows above the number
the opened lake has committed are taken, so none is there twice.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
import polars as pl

from ..exceptions import StorageError
from .lake import Lake
from .lake_reads import Question, in_columns, needed
from .lake_rows import merge, normalised


class Clock(msgspec.Struct, frozen=True, kw_only=True):
    """Where the shard is: `now_ms` the time of the last applied record, the wall's time of publishing, and
    the numbers up to which records are written (`last_seq`), applied, and in the lake."""

    now_ms: int
    published_ms: int
    last_seq: int
    applied_seq: int
    lake_seq: int


class Publisher:
    """Writes `folder`. What a shard before it published of the tail goes: this one publishes those rows itself."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for leftover in [*folder.glob("tail/type-*/*"), *folder.glob("*.tmp")]:
                leftover.unlink()
        except OSError as error:
            raise _not_written(folder, error) from error

    def publish(self, clock: Clock, devices: Mapping[int, pl.DataFrame]) -> None:
        """Replace the snapshot: one frame per type, a row per device. The clock is replaced last."""
        for type_id, frame in devices.items():
            self._replace(self._folder / f"type-{type_id}.arrow", frame)
        path = self._folder / "clock.json"
        try:
            waiting = path.with_suffix(".tmp")
            waiting.write_bytes(msgspec.json.encode(clock))
            os.replace(waiting, path)
        except OSError as error:
            raise _not_written(path, error) from error

    def publish_tail(self, type_id: int, frame: pl.DataFrame, first_seq: int, last_seq: int) -> None:
        """Add scored rows of the records `first_seq` to `last_seq`, as `Lake.append` takes them."""
        name = f"{first_seq:020d}-{last_seq:020d}.arrow"
        self._replace(self._folder / "tail" / f"type-{type_id}" / name, normalised(frame))

    def drop_tail_through(self, type_id: int, seq: int) -> int:
        """Delete the tail's files all of whose rows the lake has, up to record `seq`; return how many."""
        done = [path for path in _tail_files(self._folder, type_id) if _last_seq(path) <= seq]
        for path in done:
            path.unlink()
        return len(done)

    def _replace(self, path: Path, frame: pl.DataFrame) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            waiting = path.with_suffix(".tmp")
            frame.write_ipc(waiting, compression="uncompressed")
            os.replace(waiting, path)
        except OSError as error:
            raise _not_written(path, error) from error


class PublishedReader:
    """Reads what a shard published in `folder`; any number of readers, in any process."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def clock(self) -> Clock | None:
        """Where the shard was when it last published; None before it first did."""
        try:
            return msgspec.json.decode((self._folder / "clock.json").read_bytes(), type=Clock)
        except FileNotFoundError:
            return None
        except msgspec.DecodeError as error:
            raise StorageError(
                f"{self._folder / 'clock.json'} can't be read ({error}); it is written anew when the shard publishes"
            ) from error

    def devices(self, type_id: int, columns: Sequence[str] | None = None) -> pl.DataFrame:
        """The devices of a type, a row each; a frame without columns before the shard first published them.

        With `columns`, only those are read; in a large fleet that is most of the time saved.
        """
        frame = _map(self._folder / f"type-{type_id}.arrow", columns)
        return pl.DataFrame() if frame is None else frame

    def tail(self, type_id: int, after_seq: int) -> pl.DataFrame:
        """Rows published and not dropped yet whose `ingest_seq` is above `after_seq`; without columns if none."""
        files = [path for path in _tail_files(self._folder, type_id) if _last_seq(path) > after_seq]
        # A file that went between the look and the opening is in the lake by now.
        parts = [frame for frame in map(_map, files) if frame is not None]
        if not parts:
            return pl.DataFrame()
        return pl.concat(parts, how="diagonal").filter(pl.col("ingest_seq") > after_seq)


def read_recent(
    lake: Lake,
    published: PublishedReader,
    type_id: int,
    *,
    app_id: str = "shard-0",
    device_keys: Sequence[int] | None = None,
    start_ms: int | None = None,
    end_ms: int | None = None,
    columns: Sequence[str] | None = None,
) -> pl.DataFrame:
    """Return what `Lake.read` does, with the rows the shard `app_id` has scored and the lake doesn't hold yet."""
    tail = published.tail(type_id, after_seq=0)
    wanted = None if columns is None else needed(columns)
    recent = lake.read_at(type_id, app_id, device_keys=device_keys, start_ms=start_ms, end_ms=end_ms, columns=wanted)
    if tail.is_empty():
        return in_columns(recent.rows, columns)
    fresh = tail.filter(Question(device_keys, start_ms, end_ms, recent.committed).rows())
    if wanted is not None:
        fresh = in_columns(fresh, wanted)
    return in_columns(merge(pl.concat([recent.rows, fresh], how="diagonal")), columns)


def _tail_files(folder: Path, type_id: int) -> list[Path]:
    return sorted((folder / "tail" / f"type-{type_id}").glob("*.arrow"))


def _last_seq(path: Path) -> int:
    return int(path.stem.partition("-")[2])


def _map(path: Path, columns: Sequence[str] | None = None) -> pl.DataFrame | None:
    """Read a file through a memory map; None where it isn't there. What is open stays after it is replaced.

    Polars is given the open file: by its path it would open it twice, and read the end of one snapshot with
    the layout of another.
    """
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size == 0:
                raise StorageError(f"{path} is empty; it is written anew when the shard publishes")
            scan = pl.scan_ipc(file)
            return (scan if columns is None else scan.select(columns)).collect()
    except FileNotFoundError:
        return None
    except (pl.exceptions.ComputeError, OSError) as error:
        raise StorageError(f"{path} can't be read ({error}); it is written anew when the shard publishes") from error


def _not_written(path: Path, error: OSError) -> StorageError:
    return StorageError(
        f"{path} could not be written: {error.strerror or error}. Free space on that disk, or repair it"
    )
