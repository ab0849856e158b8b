"""How a notice leaves the house: a signed webhook, or one of the services that Apprise knows."""

import hashlib
import hmac
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx
import msgspec

from ..exceptions import NotificationError
from ..fleet.channels import Target
from ..fleet.models import Json
from ..fleet.outbox import trial_payload
from .guard import Guard, host_of

TIMEOUT = httpx.Timeout(10.0, connect=5.0)
ANSWER_BYTES = 500
"""How much of a refusal is kept for people to read."""

_NEWS = {"firing": "", "worse": "Worse: ", "resolved": "Over: "}


class Message(msgspec.Struct, frozen=True):
    """What is sent: `payload` of the outbox, with a link if the dashboard's address is known."""

    key: str
    payload: Mapping[str, Json]
    link: str

    @property
    def title(self) -> str:
        """What happened to what, such as `Critical: pump-17 at Harbour East`."""
        if self.payload["event"] == "test":
            return f"Test: {_subject(self.payload)}"
        alert = _object(self.payload["alert"])
        severity = str(alert["severity"]).capitalize()
        return f"{_NEWS[str(self.payload['event'])]}{severity}: {_subject(self.payload)}"

    @property
    def text(self) -> str:
        """The sentence, since when, how it ended, and the link."""
        alert = _object(self.payload["alert"])
        lines = [str(alert["sentence"])]
        if self.payload["event"] == "test":
            return "\n".join([*lines, self.link])
        if self.payload["event"] == "resolved":
            ended = f" ({alert['resolution']})" if alert["resolution"] not in (None, "reading") else ""
            lines.append(f"Over since {_minute(self.payload['at'])}{ended}.")
        else:
            lines.append(f"Since {_minute(alert['first_signs'] or alert['fired'])}.")
        return "\n".join([*lines, self.link])


def message(key: str, payload: Mapping[str, Json], base_url: str) -> Message:
    """A notice of the outbox, ready to send; links begin with `base_url`."""
    return Message(key, payload, base_url.rstrip("/") + str(_object(payload["alert"])["path"]))


def trial_message(owner: str, channel: str, at: str, base_url: str) -> Message:
    """What `faultwatch channels test` sends: an alert in shape, that says it is none. `at` is RFC 3339."""
    return message(f"test-{at}", trial_payload(owner, channel, at), base_url)


def deliver(target: Target, what: Message, now_s: int, client: httpx.Client, guard: Guard = Guard()) -> None:
    """Send a message. Raises NotificationError, without the channel's address, where it wasn't taken.

    `guard` says which addresses it may go to.
    """
    if target.kind == "webhook":
        _post(target, what, now_s, client, guard)
    else:
        _notify(target, what, guard)


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """What `X-Faultwatch-Signature` says: HMAC-SHA256 over timestamp, full stop and body, keyed by the secret."""
    return "sha256=" + hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


def _post(target: Target, what: Message, now_s: int, client: httpx.Client, guard: Guard) -> None:
    body = msgspec.json.encode({**what.payload, "title": what.title, "link": what.link})
    timestamp = str(now_s)
    host, port = host_of(target.address)
    address = guard.resolve(host, port)
    headers = {
        "Host": urlsplit(target.address).netloc.rpartition("@")[2],
        "Content-Type": "application/json",
        "Idempotency-Key": what.key,
        "X-Faultwatch-Timestamp": timestamp,
        "X-Faultwatch-Signature": signature(target.secret or "", timestamp, body),
    }
    try:
        # To the address that was looked at, with the name that the certificate is checked for.
        url = httpx.URL(target.address).copy_with(host=address)
        more = {"sni_hostname": host}
        with client.stream("POST", url, content=body, headers=headers, timeout=TIMEOUT, extensions=more) as answer:
            if not answer.is_success:
                raise NotificationError(f"the webhook answered {answer.status_code}{_said(answer)}; expected 2xx")
    except httpx.TimeoutException as error:
        raise NotificationError(f"the webhook gave no answer in time ({type(error).__name__})") from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise NotificationError(f"the webhook can't be reached ({type(error).__name__}): {error}") from error


def _said(answer: httpx.Response) -> str:
    said = b""
    for piece in answer.iter_bytes():
        said += piece
        if len(said) >= ANSWER_BYTES:
            break
    text = " ".join(said[:ANSWER_BYTES].decode(errors="replace").split())
    return f" ({text})" if text else ""


def _notify(target: Target, what: Message, guard: Guard) -> None:
    import apprise

    sender = apprise.Apprise()
    if not sender.add(target.address):
        raise NotificationError("Apprise doesn't know the channel's address; remove the channel and add it again")
    for plugin in sender:
        plugin.redirects = False  # or a public host could send us on into a private network
    hosts = {getattr(plugin, name, None) for plugin in sender for name in ("host", "smtp_host")}
    guard.check_hosts(sorted(host for host in hosts if isinstance(host, str) and _is_host(host)))
    service = target.address.partition(":")[0]
    try:
        taken = sender.notify(title=what.title, body=what.text)
    except Exception as error:  # a hundred plug-ins by others: whatever one raises, its notice was not delivered
        raise NotificationError(f"Apprise failed to deliver by {service}: {type(error).__name__}") from error
    if not taken:
        raise NotificationError(f"Apprise could not deliver by {service}; the log of the service says why")


def _is_host(text: str) -> bool:
    """Services of Apprise that have no server of one's own keep other things where the host is, such as a token."""
    return "." in text or ":" in text or text == "localhost"


def _subject(payload: Mapping[str, Json]) -> str:
    site = payload["site"]
    if payload["device"] is None:
        about = _object(payload["alert"]).get("subject")
        return str(site or payload["owner"] or (f"model of {about}" if about else "models"))
    name = str(_object(payload["device"])["name"])
    return f"{name} at {site}" if site else name


def _minute(at: Json) -> str:
    return f"{str(at)[:10]} {str(at)[11:16]} UTC"


def _object(value: Any) -> Mapping[str, Json]:
    assert isinstance(value, Mapping), "an object of the outbox"
    return value
