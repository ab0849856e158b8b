"""Asks a running service of this machine what it says of itself."""

import ssl
from collections.abc import Callable
from dataclasses import dataclass, field

import httpx
import msgspec
from prometheus_client.parser import text_string_to_metric_families

from .running import Note

TIMEOUT_S = 10.0

Labels = tuple[tuple[str, str], ...]


class Ready(msgspec.Struct, frozen=True):
    """What /readyz answers: each check with `ok`, or with what is wrong."""

    ready: bool
    role: str
    checks: dict[str, str]


@dataclass(frozen=True)
class Said:
    """What a process said of itself; `silence` is why it said nothing."""

    note: Note
    ready: Ready | None = None
    silence: str = ""
    figures: dict[str, dict[Labels, float]] = field(default_factory=dict)

    def figure(self, name: str, **labels: str) -> float:
        """The sum of a metric's samples that have these labels; 0 where there are none."""
        wanted = set(labels.items())
        return sum(value for found, value in self.figures.get(name, {}).items() if wanted <= set(found))

    def by(self, name: str, label: str) -> dict[str, float]:
        """A metric's samples summed by one label."""
        sums: dict[str, float] = {}
        for found, value in self.figures.get(name, {}).items():
            word = dict(found).get(label, "")
            sums[word] = sums.get(word, 0.0) + value
        return sums


def ask(note: Note, client_of: Callable[[Note], httpx.Client] | None = None) -> Said:
    """Ask a process for /readyz and /metrics."""
    if not note.lives:
        return Said(note, silence="it ended without taking its leave: it was killed, or the machine went down")
    try:
        with (client_of or _client)(note) as client:
            ready = msgspec.json.decode(client.get("/readyz").content, type=Ready)
            page = client.get("/metrics").raise_for_status().text
    except (httpx.HTTPError, msgspec.DecodeError, OSError) as error:
        return Said(note, silence=f"it does not answer at {note.url} ({str(error) or type(error).__name__})")
    figures: dict[str, dict[Labels, float]] = {}
    for family in text_string_to_metric_families(page):
        for sample in family.samples:
            figures.setdefault(sample.name, {})[tuple(sorted(sample.labels.items()))] = sample.value
    return Said(note, ready, figures=figures)


def _client(note: Note) -> httpx.Client:
    trusted: ssl.SSLContext | bool = True
    if note.certificate is not None:
        # The certificate is made out to the name that people use, and this goes to the loopback: so it is known by
        # being the very one that the service was given.
        trusted = ssl.create_default_context(cafile=note.certificate)
        trusted.check_hostname = False
        trusted.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return httpx.Client(base_url=note.url, timeout=TIMEOUT_S, verify=trusted, trust_env=False)
