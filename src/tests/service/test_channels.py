"""How a notice leaves the house, read by the one who gets it."""

import hashlib
import hmac
import json
from collections.abc import Iterator

import httpx
import pytest

from ...exceptions import ConfigError, NotificationError
from ...fleet import channels as stored
from ...fleet.channels import Target
from ...fleet.models import Json
from ...service import channels
from ...service.guard import Guard
from .receivers import Receiver, receiver

pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")  # a plug-in of Apprise

ANYWHERE = Guard("all")
AT = "2026-11-24T14:10:00.000Z"
ALERT: dict[str, Json] = {
    "id": 12,
    "kind": "anomaly",
    "severity": "critical",
    "sensor": None,
    "sentence": "Pressure is 3.1 bar below what is normal for this pump.",
    "first_signs": "2026-11-24T14:02:00.000Z",
    "fired": AT,
    "resolution": None,
    "blame": [],
    "path": "/alerts?chosen=12",
}
PAYLOAD: dict[str, Json] = {
    "event": "firing",
    "at": AT,
    "alert": ALERT,
    "owner": "Nordwind",
    "device": {"id": "pump-17", "name": "Pump 17", "type": "pump"},
    "site": "Harbour East",
}
FIRING = channels.message("alert-12-channel-3-firing", PAYLOAD, "https://faults.example.org/")


@pytest.fixture
def taker() -> Iterator[Receiver]:
    with receiver() as running:
        yield running


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    with httpx.Client() as made:
        yield made


def test_what_people_read() -> None:
    assert FIRING.title == "Critical: Pump 17 at Harbour East"
    assert FIRING.text == (
        "Pressure is 3.1 bar below what is normal for this pump.\n"
        "Since 2026-11-24 14:02 UTC.\n"
        "https://faults.example.org/alerts?chosen=12"
    )
    over: dict[str, Json] = {**PAYLOAD, "event": "resolved", "alert": {**ALERT, "resolution": "back to normal"}}
    message = channels.message("k", over, "https://faults.example.org")
    assert message.title == "Over: Critical: Pump 17 at Harbour East"
    assert "Over since 2026-11-24 14:10 UTC (back to normal)." in message.text
    site = channels.message("k", {**PAYLOAD, "event": "worse", "device": None}, "http://x")
    assert site.title == "Worse: Critical: Harbour East"
    nowhere = channels.message("k", {**PAYLOAD, "site": None}, "http://x")
    assert nowhere.title == "Critical: Pump 17"


def test_a_webhook_can_be_verified(taker: Receiver, client: httpx.Client) -> None:
    channels.deliver(Target("webhook", f"{taker.url}/hook", "hush"), FIRING, 1_764_000_000, client, ANYWHERE)
    [request] = taker.got
    timestamp = request.headers["X-Faultwatch-Timestamp"]
    expected = hmac.new(b"hush", timestamp.encode() + b"." + request.body, hashlib.sha256).hexdigest()
    assert request.headers["X-Faultwatch-Signature"] == f"sha256={expected}"
    assert timestamp == "1764000000"
    assert request.headers["Idempotency-Key"] == "alert-12-channel-3-firing"
    body = json.loads(request.body)
    assert (body["event"], body["device"]["id"], body["title"]) == ("firing", "pump-17", FIRING.title)
    assert body["link"] == "https://faults.example.org/alerts?chosen=12"


@pytest.mark.parametrize("status", [302, 404, 500])
def test_a_refusal_says_what_the_webhook_said(taker: Receiver, client: httpx.Client, status: int) -> None:
    taker.answers["/hook"] = [status]
    with pytest.raises(NotificationError, match=rf"answered {status} \(out of order !+\); expected 2xx") as caught:
        channels.deliver(Target("webhook", f"{taker.url}/hook", "hush"), FIRING, 0, client, ANYWHERE)
    assert len(str(caught.value)) < 700
    assert len(taker.got) == 1


def test_a_webhook_that_hangs_is_given_up(
    taker: Receiver, client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channels, "TIMEOUT", httpx.Timeout(0.2))
    with pytest.raises(NotificationError, match=r"no answer in time \(ReadTimeout\)"):
        channels.deliver(Target("webhook", f"{taker.url}/hang", "hush"), FIRING, 0, client, ANYWHERE)


@pytest.mark.parametrize("address", ["http://127.0.0.1:1/x", "http://no-such-host.invalid/x", "https://[::bad"])
def test_a_webhook_that_is_not_there(client: httpx.Client, address: str) -> None:
    with pytest.raises(NotificationError, match="can't be reached"):
        channels.deliver(Target("webhook", address, "hush"), FIRING, 0, client, ANYWHERE)


def test_apprise_delivers(taker: Receiver, client: httpx.Client) -> None:
    target = Target("apprise", taker.url.replace("http://", "json://") + "/apprise", None)
    channels.deliver(target, FIRING, 0, client, ANYWHERE)
    body = json.loads(taker.got[0].body)
    assert (body["title"], "Since 2026-11-24 14:02 UTC." in body["message"]) == (FIRING.title, True)
    taker.answers["/apprise"] = [500]
    with pytest.raises(NotificationError, match="Apprise could not deliver by json") as caught:
        channels.deliver(target, FIRING, 0, client, ANYWHERE)
    assert "127.0.0.1" not in str(caught.value)


def test_apprise_that_breaks_is_a_notice_not_taken(client: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    import apprise

    def broken(*_: object, **__: object) -> bool:
        raise KeyError("plug-in")

    monkeypatch.setattr(apprise.Apprise, "notify", broken)
    with pytest.raises(NotificationError, match="failed to deliver by json: KeyError"):
        channels.deliver(Target("apprise", "json://127.0.0.1", None), FIRING, 0, client, ANYWHERE)


@pytest.mark.parametrize(
    ("kind", "address", "said"),
    [
        ("webhook", "https://", "expected https://HOST/PATH"),
        ("webhook", "ftp://host/x", "expected https://HOST/PATH"),
        ("apprise", "nonsense", "Apprise doesn't know this kind"),
        ("apprise", "slack://", "Apprise doesn't know this kind"),
    ],
)
def test_an_address_that_could_never_deliver_is_refused(kind: str, address: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        stored.check(Target(kind, address, None))


@pytest.mark.parametrize(("kind", "address"), [("webhook", "https://h/x"), ("apprise", "json://127.0.0.1/x")])
def test_an_address_that_could(kind: str, address: str) -> None:
    stored.check(Target(kind, address, "s"))


def test_an_unknown_apprise_address_in_the_database(client: httpx.Client) -> None:
    with pytest.raises(NotificationError, match="remove the channel and add it again"):
        channels.deliver(Target("apprise", "nonsense", None), FIRING, 0, client, ANYWHERE)


def test_a_trial_says_that_it_is_one() -> None:
    trial = channels.trial_message("Nordwind", "ops", AT, "http://x")
    assert trial.title == "Test: Nordwind"
    assert trial.text.startswith("This is a test of the channel 'ops'; no device is affected.")
    assert "hush" not in repr(Target("webhook", "https://h", "hush"))


def test_a_redirect_is_not_followed_by_webhook_or_apprise(taker: Receiver, client: httpx.Client) -> None:
    taker.answers["/hook"] = taker.answers["/chat"] = [307, 307]
    with pytest.raises(NotificationError, match="answered 307"):
        channels.deliver(Target("webhook", f"{taker.url}/hook", "hush"), FIRING, 0, client, ANYWHERE)
    address = taker.url.replace("http", "json", 1) + "/chat?redirect=yes"
    with pytest.raises(NotificationError, match="could not deliver"):
        channels.deliver(Target("apprise", address, None), FIRING, 0, client, ANYWHERE)
    assert taker.paths() == ["/hook", "/chat"]


def test_the_connection_goes_to_the_address_that_was_looked_at(taker: Receiver, client: httpx.Client) -> None:
    port = taker.url.rpartition(":")[2]
    target = Target("webhook", f"http://localhost:{port}/hook", "hush")
    channels.deliver(target, FIRING, 0, client, ANYWHERE)
    assert taker.got[0].headers["Host"] == f"localhost:{port}"
    with pytest.raises(NotificationError, match="private network"):
        channels.deliver(target, FIRING, 0, client, Guard())


def test_apprise_is_kept_out_of_private_networks_too(client: httpx.Client) -> None:
    for address in ("json://127.0.0.1/a", "mailto://localhost/?from=a@example.org&to=b@example.org"):
        with pytest.raises(NotificationError, match="private network"):
            channels.deliver(Target("apprise", address, None), FIRING, 0, client, Guard())
