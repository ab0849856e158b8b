"""How a notice leaves the house: a signed webhook, or one of the services that Apprise knows."""

import hashlib
import hmac
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx
import msgspec

from ..exceptions import ConfigError, NotificationError
from ..fleet.channels import Target
from ..fleet.models import Json

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
        alert = _object(self.payload["alert"])
        severity = str(alert["severity"]).capitalize()
        return f"{_NEWS[str(self.payload['event'])]}{severity}: {_subject(self.payload)}"

    @property
    def text(self) -> str:
        """The sentence, since when, how it ended, and the link."""
        alert = _object(self.payload["alert"])
        lines = [str(alert["sentence"])]
        if self.payload["event"] == "resolved":
            ended = f" ({alert['resolution']})" if alert["resolution"] else ""
            lines.append(f"Over since {_minute(self.payload['at'])}{ended}.")
        else:
            lines.append(f"Since {_minute(alert['first_signs'] or alert['fired'])}.")
        return "\n".join([*lines, self.link])


def message(key: str, payload: Mapping[str, Json], base_url: str) -> Message:
    """A notice of the outbox, ready to send; links begin with `base_url`."""
    return Message(key, payload, base_url.rstrip("/") + str(_object(payload["alert"])["path"]))


def trial_message(owner: str, channel: str, at: str, base_url: str) -> Message:
    """What `faultwatch channels test` sends: an alert in shape, that says it is none. `at` is RFC 3339."""
    alert: dict[str, Json] = {
        "id": 0,
        "kind": "test",
        "severity": "info",
        "sensor": None,
        "sentence": f"This is a test of the channel {channel!r}; no device is affected.",
        "first_signs": None,
        "fired": at,
        "resolution": None,
        "blame": [],
        "path": "/",
    }
    payload: dict[str, Json] = {"event": "firing", "at": at, "alert": alert, "device": None, "site": None}
    return message(f"test-{at}", {**payload, "owner": owner}, base_url)


def check_target(target: Target) -> None:
    """Raise ConfigError where a channel of this address could never deliver."""
    if target.kind == "webhook":
        address = urlsplit(target.address)
        if address.scheme not in ("http", "https") or not address.hostname:
            raise ConfigError("address of a webhook: expected https://HOST/PATH (or http:// in your own network)")
        return
    import apprise

    if not apprise.Apprise().add(target.address):
        raise ConfigError(
            "address: Apprise doesn't know this kind, or a part of it is missing; expected one such as"
            " mailto://USER:PASSWORD@HOST or slack://TOKEN, see https://github.com/caronc/apprise/wiki"
        )


def deliver(target: Target, what: Message, now_s: int, client: httpx.Client) -> None:
    """Send a message. Raises NotificationError, without the channel's address, where it wasn't taken."""
    if target.kind == "webhook":
        _post(target, what, now_s, client)
    else:
        _notify(target, what)


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """What `X-Faultwatch-Signature` says: HMAC-SHA256 over timestamp, full stop and body, keyed by the secret."""
    return "sha256=" + hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


def _post(target: Target, what: Message, now_s: int, client: httpx.Client) -> None:
    body = msgspec.json.encode({**what.payload, "title": what.title, "link": what.link})
    timestamp = str(now_s)
    headers = {
        "Content-Type": "application/json",
        "Idempotency-Key": what.key,
        "X-Faultwatch-Timestamp": timestamp,
        "X-Faultwatch-Signature": signature(target.secret or "", timestamp, body),
    }
    try:
        with client.stream("POST", target.address, content=body, headers=headers, timeout=TIMEOUT) as answer:
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


def _notify(target: Target, what: Message) -> None:
    import apprise

    sender = apprise.Apprise()
    if not sender.add(target.address):
        raise NotificationError("Apprise doesn't know the channel's address; remove the channel and add it again")
    service = target.address.partition(":")[0]
    try:
        taken = sender.notify(title=what.title, body=what.text)
    except Exception as error:  # a hundred plug-ins by others: whatever one raises, its notice was not delivered
        raise NotificationError(f"Apprise failed to deliver by {service}: {type(error).__name__}") from error
    if not taken:
        raise NotificationError(f"Apprise could not deliver by {service}; the log of the service says why")


def _subject(payload: Mapping[str, Json]) -> str:
    site = payload["site"]
    if payload["device"] is None:
        return str(site or payload["owner"])
    name = str(_object(payload["device"])["name"])
    return f"{name} at {site}" if site else name


def _minute(at: Json) -> str:
    return f"{str(at)[:10]} {str(at)[11:16]} UTC"


def _object(value: Any) -> Mapping[str, Json]:
    assert isinstance(value, Mapping), "an object of the outbox"
    return value
