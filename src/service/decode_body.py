"""Undo the Content-Encoding of a body, within a bound: a small body may unpack to more than memory holds."""

import zlib

import zstandard

from ..exceptions import IngestError

ZSTD_WINDOW = 8 << 20
"""The largest window of a zstd frame, in bytes: what RFC 8878 asks every decoder to support."""

_ZSTD_STEP = 1024
"""Compressed bytes taken at a time: at zstd's best ratio (a block of 128 kB from 4 bytes) 32 MB come out of them."""


class TooLargeError(IngestError):
    """A request that is larger than this server takes."""

    status = 413


class UnsupportedError(IngestError):
    """A request in a format or an encoding that this server doesn't read."""

    status = 415


def unpack(body: bytes, encoding: str, limit: int) -> bytes:
    """Return the body without its Content-Encoding (`""`, `identity`, `gzip` or `zstd`), at most `limit` bytes.

    Raises TooLargeError past the limit, UnsupportedError for another encoding, IngestError for a broken body.
    """
    name = encoding.strip().lower()
    if name in ("", "identity"):
        plain = body
    elif name in ("gzip", "x-gzip"):
        plain = _gunzip(body, limit)
    elif name == "zstd":
        plain = _unzstd(body, limit)
    else:
        raise UnsupportedError(f"Content-Encoding is {encoding[:60]!r}; expected gzip, zstd or none")
    if len(plain) > limit:
        raise _too_large(limit)
    return plain


def _too_large(limit: int) -> TooLargeError:
    return TooLargeError(f"the body unpacks to more than {limit:,} bytes: send fewer rows in a request")


def _gunzip(body: bytes, limit: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    rest = body
    while rest:
        member = zlib.decompressobj(wbits=31)
        try:
            part = member.decompress(rest, limit + 1 - size)
        except zlib.error as error:
            raise IngestError(f"Content-Encoding says gzip, but the body is not: {error}") from error
        size += len(part)
        parts.append(part)
        if size > limit:
            raise _too_large(limit)
        if not member.eof:
            raise IngestError("the gzip body is cut off: its end is missing; send it again")
        rest = member.unused_data
    return b"".join(parts)


def _unzstd(body: bytes, limit: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    at = 0
    frame = None
    decompressor = zstandard.ZstdDecompressor(max_window_size=ZSTD_WINDOW)
    while at < len(body):
        if frame is None:
            frame = decompressor.decompressobj()
        step = body[at : at + _ZSTD_STEP]
        try:
            part = frame.decompress(step)
        except zstandard.ZstdError as error:
            raise IngestError(f"Content-Encoding says zstd, but the body can't be unpacked: {error}") from error
        size += len(part)
        parts.append(part)
        if size > limit:
            raise _too_large(limit)
        at += len(step)
        if frame.eof:
            at -= len(frame.unused_data)
            frame = None
    if frame is not None:
        raise IngestError("the zstd body is cut off: its end is missing; send it again")
    return b"".join(parts)
