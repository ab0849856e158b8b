"""Content-Encoding: unpacked within a bound, whatever is packed."""

import gzip

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from ...exceptions import IngestError
from ...service.decode_body import TooLargeError, UnsupportedError, unpack

LIMIT = 1 << 20


@given(st.lists(st.binary(max_size=5000), min_size=1, max_size=3))
def test_what_was_packed_in_one_part_or_several_comes_out(parts: list[bytes]) -> None:
    whole = b"".join(parts)
    assert unpack(b"".join(map(gzip.compress, parts)), "gzip", LIMIT) == whole
    assert unpack(b"".join(map(zstandard.compress, parts)), "zstd", LIMIT) == whole
    assert unpack(whole, "", LIMIT) == unpack(whole, "Identity", LIMIT) == whole


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
def test_a_bomb_is_not_unpacked(encoding: str) -> None:
    pack = gzip.compress if encoding == "gzip" else zstandard.compress
    bomb = pack(bytes(300 << 20))
    assert len(bomb) < LIMIT
    with pytest.raises(TooLargeError, match="unpacks to more than 1,048,576 bytes: send fewer rows in a request"):
        unpack(bomb, encoding, LIMIT)


def test_many_small_parts_are_bounded_together() -> None:
    with pytest.raises(TooLargeError):
        unpack(gzip.compress(bytes(LIMIT // 2)) * 3, "gzip", LIMIT)
    with pytest.raises(TooLargeError):
        unpack(zstandard.compress(bytes(LIMIT // 2)) * 3, "zstd", LIMIT)


def test_exactly_the_limit_fits() -> None:
    assert len(unpack(gzip.compress(bytes(LIMIT)), "gzip", LIMIT)) == LIMIT
    assert len(unpack(zstandard.compress(bytes(LIMIT)), "zstd", LIMIT)) == LIMIT


@pytest.mark.parametrize(("encoding", "pack"), [("gzip", gzip.compress), ("zstd", zstandard.compress)])
def test_a_broken_or_cut_off_body_is_explained(encoding: str, pack: "object") -> None:
    packed = gzip.compress(b"abc" * 1000) if encoding == "gzip" else zstandard.compress(b"abc" * 1000)
    with pytest.raises(IngestError, match=f"the {encoding} body is cut off: its end is missing; send it again"):
        unpack(packed[:-5], encoding, LIMIT)
    with pytest.raises(IngestError, match=f"Content-Encoding says {encoding}, but the body"):
        unpack(b"not packed at all", encoding, LIMIT)


def test_a_window_larger_than_decoders_must_have_is_refused() -> None:
    parameters = zstandard.ZstdCompressionParameters.from_level(19, window_log=27)
    packer = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    body = packer.compress(bytes(100)) + packer.flush()
    with pytest.raises(IngestError, match="the body can't be unpacked"):
        unpack(body, "zstd", LIMIT)


def test_another_encoding_is_answered_with_those_there_are() -> None:
    with pytest.raises(UnsupportedError, match="Content-Encoding is 'br'; expected gzip, zstd or none"):
        unpack(b"", "br", LIMIT)


@given(st.binary(max_size=2000), st.sampled_from(["gzip", "zstd"]))
def test_any_bytes_are_unpacked_or_explained(body: bytes, encoding: str) -> None:
    try:
        unpack(body, encoding, LIMIT)
    except IngestError as error:
        assert str(error)
