"""`Heads`: what the heads of small requests with readings say; one that came before is not read again."""

from dataclasses import dataclass
from urllib.parse import parse_qs

import httptools

END = b"\r\n\r\n"
"""What a head ends with."""

_KEPT = 4096
_LONGEST_KEPT = 1024


@dataclass(frozen=True, slots=True)
class Head:
    """What a head says: headers, empty where one was not sent, the type that the address names, bytes of the body."""

    authorization: str
    content_type: str
    key: str
    type_name: str | None
    length: int


class Heads:
    """Reads heads of requests that are posted to `path` with plain bodies of 1 to `most_bytes` bytes, which they tell.

    A sender's heads are mostly the same, byte for byte: the newest thousands are remembered with what they say.
    """

    def __init__(self, path: str, most_bytes: int) -> None:
        self._path = path.encode("ascii")
        self._start = b"POST " + self._path
        self._most_bytes = most_bytes
        self._known: dict[bytes, Head] = {}

    def may_begin(self, data: bytes) -> bool:
        """Whether data, perhaps cut off, begins as such a request does."""
        return data.startswith(self._start) or self._start.startswith(data)

    def read(self, head: bytes) -> Head | None:
        """What a head says, given with its empty line; None where it is that of another kind of request, or none."""
        known = self._known.get(head)
        if known is None:
            known = self._read(head)
            if known is not None and not known.key and len(head) <= _LONGEST_KEPT:
                if len(self._known) >= _KEPT:
                    self._known.clear()
                self._known[head] = known
        return known

    def _read(self, head: bytes) -> Head | None:
        reader = _Reader()
        # The parser that reads all other requests: what one takes for a head the other does too.
        parser = httptools.HttpRequestParser(reader)
        try:
            parser.feed_data(head)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            return None
        length = reader.headers.get(b"content-length", b"")
        if (
            not reader.complete
            or parser.get_method() != b"POST"
            or parser.get_http_version() != "1.1"
            or not parser.should_keep_alive()
            or parser.should_upgrade()
            or any(reader.headers.get(name) for name in (b"expect", b"transfer-encoding", b"content-encoding"))
            or not (length.isdigit() and len(length) < 10 and 1 <= int(length) <= self._most_bytes)
        ):
            return None
        url = httptools.parse_url(reader.url)
        if url.path != self._path:
            return None
        named = parse_qs(url.query.decode("latin-1")).get("type", [None])[0] if url.query else None
        sent = {name: value.decode("latin-1") for name, value in reader.headers.items()}
        return Head(
            authorization=sent.get(b"authorization", ""),
            content_type=sent.get(b"content-type", ""),
            key=sent.get(b"idempotency-key", ""),
            type_name=named,
            length=int(length),
        )


class _Reader:
    """Told by the parser what it finds; of headers sent twice the last counts."""

    def __init__(self) -> None:
        self.url = b""
        self.headers: dict[bytes, bytes] = {}
        self.complete = False

    def on_url(self, url: bytes) -> None:
        """A piece of the address."""
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header."""
        self.headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        """The end."""
        self.complete = True

    def on_body(self, body: bytes) -> None:
        """More than a head: the parser saw its end before we did."""
        self.headers[b"transfer-encoding"] = b"odd"
