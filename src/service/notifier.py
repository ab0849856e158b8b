"""Sends the outbox: at least once, in order per alert, and no channel waits for a slow one.

A notice is marked as sent after its channel has taken it; a crash between the two sends it once more, with the
same idempotency key. One notifier runs per database, in the process of the live loop.
"""

import threading
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import httpx
import structlog
from sqlalchemy import Engine

from ..exceptions import FaultwatchError, StorageError
from ..fleet import channels as stored
from ..fleet import outbox
from ..fleet.changes import Changes
from ..fleet.database import reading, writing
from ..fleet.outbox import Notice
from ..fleet.secrets import Secrets
from .channels import deliver, message
from .guard import Guard

log = structlog.get_logger(__name__)

POLL_S = 0.5
CHANNELS_AT_ONCE = 32
MAX_ATTEMPTS = 12
FIRST_RETRY_MS = 5_000
LONGEST_RETRY_MS = 3_600_000
LONGEST_REST_MS = 60_000


def retry_ms(attempts: int, chance: float) -> int | None:
    """How long to wait after the `attempts`-th failure, None to give up: doubling from 5 s to an hour.

    `chance` from 0 to 1 takes up to half of it off, so that notices which failed together don't all come back
    together.
    """
    if attempts >= MAX_ATTEMPTS:
        return None
    longest = min(LONGEST_RETRY_MS, FIRST_RETRY_MS << (attempts - 1))
    return round(longest * (1 - chance / 2))


class Notifier:
    """Sends what is due; `clock` gives ms of the wall clock, `chance` numbers from 0 to 1.

    `private_networks` as the setting `notify_private_networks`.
    """

    def __init__(
        self,
        engine: Engine,
        secrets: Secrets,
        base_url: str,
        clock: Callable[[], int],
        chance: Callable[[], float],
        private_networks: str = "",
    ) -> None:
        self._engine = engine
        self._secrets = secrets
        self._base_url = base_url
        self._clock = clock
        self._chance = chance
        self._guard = Guard(private_networks)
        self._client = httpx.Client(follow_redirects=False)
        self._pool = ThreadPoolExecutor(CHANNELS_AT_ONCE, thread_name_prefix="notify")
        self._busy: set[int] = set()
        self._resting: dict[int, int] = {}
        self._waiting = True
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Send in the background until `stop`."""
        self._thread = threading.Thread(target=self._run, name="notifier", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End after the notices on their way, each of which takes a few seconds at most."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._client.close()

    def send_due(self) -> "list[Future[None]]":
        """Begin to send what is due, one task per channel, and don't wait for it."""
        now_ms = self._clock()
        with self._lock:
            resting = {channel for channel, until_ms in self._resting.items() if until_ms > now_ms}
            busy = set(self._busy)
        with reading(self._engine) as session:
            self._waiting = outbox.any_waits(session)
            notices = outbox.due(session, now_ms, busy_channels=busy, resting_channels=resting) if self._waiting else []
        by_channel: defaultdict[int, list[Notice]] = defaultdict(list)
        for notice in notices:
            by_channel[notice.channel_id].append(notice)
        with self._lock:
            self._busy |= by_channel.keys()
        tasks = [self._pool.submit(self._send_all, channel, found) for channel, found in by_channel.items()]
        for task in tasks:
            task.add_done_callback(_log_bug)
        return tasks

    def _run(self) -> None:
        with Changes(self._engine) as changes:
            while not self._stopping.is_set():
                try:
                    # What waits may fall due by time alone.
                    if changes.any() or self._waiting:
                        self.send_due()
                except StorageError as error:
                    log.warning("notifier.database", error=str(error))
                    self._waiting = True
                self._stopping.wait(POLL_S)

    def _send_all(self, channel_id: int, notices: Sequence[Notice]) -> None:
        """Send a channel's notices in order; the first failure lets the channel rest, and the others wait."""
        try:
            for notice in notices:
                if self._stopping.is_set() or not self._send(notice):
                    return
        except StorageError as error:
            log.warning("notifier.database", channel=channel_id, error=str(error))
        finally:
            with self._lock:
                self._busy.discard(channel_id)

    def _send(self, notice: Notice) -> bool:
        now_ms = self._clock()
        try:
            target = stored.decrypted(self._secrets, notice.channel_kind, notice.address, notice.secret)
            what = message(notice.idempotency_key, notice.payload, self._base_url)
            deliver(target, what, now_ms // 1000, self._client, self._guard)
        except FaultwatchError as error:
            self._failed(notice, str(error))
            return False
        with writing(self._engine) as session:
            outbox.mark_sent(session, notice.id, self._clock())
        with self._lock:
            self._resting.pop(notice.channel_id, None)
        return True

    def _failed(self, notice: Notice, error: str) -> None:
        attempts = notice.attempts + 1
        # Whoever tries a channel out waits for the answer.
        wait_ms = None if notice.is_trial else retry_ms(attempts, self._chance())
        now_ms = self._clock()
        with writing(self._engine) as session:
            outbox.mark_failed(session, notice.id, error, None if wait_ms is None else now_ms + wait_ms)
        with self._lock:
            if not notice.is_trial:
                self._resting[notice.channel_id] = now_ms + min(wait_ms or 0, LONGEST_REST_MS)
        event = "notice.given_up" if wait_ms is None else "notice.failed"
        log.warning(event, channel=notice.channel_name, key=notice.idempotency_key, attempts=attempts, error=error)


def _log_bug(task: "Future[None]") -> None:
    if not task.cancelled() and (bug := task.exception()) is not None:
        log.error("notifier.bug", exc_info=bug)
