"""Tells a service elsewhere once a minute that the loop works: that one says so when it hears nothing more."""

import threading
from collections.abc import Callable
from urllib.parse import urlsplit

import httpx
import structlog

from ..exceptions import ConfigError
from ..metrics import Metrics

log = structlog.get_logger(__name__)

EVERY_S = 60.0
TIMEOUT_S = 10.0


class Heartbeat:
    """Asks `url` (GET) every `every_s` seconds while `fault` finds none; `fault` says why the loop doesn't keep up.

    The address stays out of the log but for its host: whoever knows it could speak in this one's name. Redirects are
    not followed, and what is answered is not read. Raises ConfigError where `url` isn't http or https.
    """

    def __init__(
        self,
        url: str,
        fault: Callable[[], str | None],
        metrics: Metrics,
        every_s: float = EVERY_S,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        address = urlsplit(url)
        if address.scheme not in ("http", "https") or not address.hostname:
            raise ConfigError(
                f"heartbeat_url begins with {address.scheme or 'nothing'}; expected http://HOST/… or https://HOST/…"
            )
        self._url = url
        self._host = address.hostname
        self._fault = fault
        self._metrics = metrics
        self._every_s = every_s
        self._client = httpx.Client(timeout=timeout_s, follow_redirects=False)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, without waiting for an answer that is on its way."""
        self._stopping.set()
        self._client.close()

    def beat(self) -> None:
        """Ask once, if the loop keeps up."""
        fault = self._fault()
        if fault is not None:
            self._metrics.heartbeats.labels("withheld").inc()
            log.warning("heartbeat.withheld", host=self._host, reason=fault)
            return
        reason = self._ask()
        self._metrics.heartbeats.labels("sent" if reason is None else "failed").inc()
        if reason is not None and not self._stopping.is_set():
            log.warning("heartbeat.failed", host=self._host, reason=reason)

    def _run(self) -> None:
        while True:
            self.beat()
            if self._stopping.wait(self._every_s):
                return

    def _ask(self) -> str | None:
        """Why the address did not take it; None where it did."""
        try:
            with self._client.stream("GET", self._url) as answer:
                status = answer.status_code
        except httpx.HTTPError as error:
            return type(error).__name__
        except RuntimeError:  # the client was closed meanwhile
            return "faultwatch stops"
        if answer.is_redirect:
            return f"it answered {status}, which leads elsewhere; set heartbeat_url to where it leads"
        return None if answer.is_success else f"it answered {status}; expected 2xx"
