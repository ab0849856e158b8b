"""What a backup says of itself: it is written last, so a backup that has it is whole."""

import msgspec

NAME = "backup.json"
FORMAT = 1


class Copied(msgspec.Struct, frozen=True):
    """A file of a backup: how long it is, and the SHA-256 of what is in it."""

    size: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """A backup. `records` are the numbers of the last record of each shard's log; `lake` and `database` are
    `included`, or the address of what has to be restored by other means."""

    format: int = FORMAT
    version: str
    began_ms: int
    records: dict[str, int]
    database: str
    lake: str
    files: dict[str, Copied]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files.values())
