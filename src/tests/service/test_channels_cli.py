"""`faultwatch channels`, as an owner's admin uses it."""

import hashlib
import hmac
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ...cli import app
from ...exceptions import FaultwatchError
from .receivers import Receiver, receiver


@pytest.fixture
def taker(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    monkeypatch.setenv("FAULTWATCH_NOTIFY_PRIVATE_NETWORKS", "127.0.0.1")
    with receiver() as running:
        yield running


def run(data: Path, *arguments: str) -> str:
    done = CliRunner().invoke(app, [*arguments, "--data", str(data)])
    if isinstance(done.exception, FaultwatchError):
        raise done.exception
    assert done.exit_code == 0, (done.output, done.exception)
    return done.stdout


def test_a_webhook_from_adding_to_removing(tmp_path: Path, taker: Receiver) -> None:
    run(tmp_path, "owners", "add", "Nordwind")
    secret = run(tmp_path, "channels", "add", "ops", f"{taker.url}/hook", "--kind", "silent").strip()
    assert run(tmp_path, "channels", "test", "ops") == "channel 'ops' took the test message\n"
    [request] = taker.got
    signed = request.headers["X-Faultwatch-Timestamp"].encode() + b"." + request.body
    expected = hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
    assert request.headers["X-Faultwatch-Signature"] == f"sha256={expected}"
    listed = run(tmp_path, "channels", "list")
    assert listed.splitlines()[1].split("\t")[:5] == ["ops", "Nordwind", "webhook", "warning", "silent"]
    assert secret not in listed and taker.url not in listed
    with pytest.raises(FaultwatchError, match="has a channel 'ops' already"):
        run(tmp_path, "channels", "add", "ops", f"{taker.url}/hook")
    taker.answers["/hook"] = [410]
    with pytest.raises(FaultwatchError, match="answered 410"):
        run(tmp_path, "channels", "test", "ops")
    run(tmp_path, "channels", "remove", "ops")
    with pytest.raises(FaultwatchError, match="no channel 'ops'; `faultwatch channels list`"):
        run(tmp_path, "channels", "remove", "ops")


@pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")
def test_an_apprise_channel_has_no_secret(tmp_path: Path, taker: Receiver) -> None:
    run(tmp_path, "owners", "add", "Nordwind")
    assert run(tmp_path, "channels", "add", "chat", taker.url.replace("http", "json", 1) + "/a") == ""
    run(tmp_path, "channels", "test", "chat")
    assert taker.paths() == ["/a"]
    with pytest.raises(FaultwatchError, match="Apprise doesn't know this kind"):
        run(tmp_path, "channels", "add", "other", "nonsense")


def test_without_an_owner_there_is_nobody_to_tell(tmp_path: Path) -> None:
    with pytest.raises(FaultwatchError, match="there is no owner yet"):
        run(tmp_path, "channels", "add", "ops", "https://example.org/hook")


def test_a_channel_rests_and_wakes(tmp_path: Path) -> None:
    run(tmp_path, "owners", "add", "Nordwind")
    run(tmp_path, "channels", "add", "ops", "https://example.com/hook")
    run(tmp_path, "channels", "disable", "ops")
    assert run(tmp_path, "channels", "list").splitlines()[1].split("\t")[-1] == "disabled"
    run(tmp_path, "channels", "enable", "ops")
    assert run(tmp_path, "channels", "list").splitlines()[1].split("\t")[-1] == ""
    assert run(tmp_path, "channels", "again", "ops") == "0 notices are on their way again\n"


def test_a_private_address_is_refused_unless_it_is_allowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(tmp_path, "owners", "add", "Nordwind")
    with receiver() as taker:
        run(tmp_path, "channels", "add", "ops", f"{taker.url}/hook")
        with pytest.raises(FaultwatchError, match="notify_private_networks"):
            run(tmp_path, "channels", "test", "ops")
        assert taker.got == []
        monkeypatch.setenv("FAULTWATCH_NOTIFY_PRIVATE_NETWORKS", "127.0.0.0/8")
        run(tmp_path, "channels", "test", "ops")
        assert len(taker.got) == 1


def test_a_channel_of_operators(tmp_path: Path, taker: Receiver) -> None:
    run(tmp_path, "channels", "add", "desk", f"{taker.url}/hook", "--operators")
    assert run(tmp_path, "channels", "test", "desk", "--operators") == "channel 'desk' took the test message\n"
    assert b'"owner":"operators"' in taker.got[0].body.replace(b": ", b":")
    assert run(tmp_path, "channels", "list").splitlines()[1].split("\t")[:2] == ["desk", "operators"]
    assert run(tmp_path, "channels", "again", "desk", "--operators") == "0 notices are on their way again\n"
    with pytest.raises(FaultwatchError, match="can't be given together"):
        run(tmp_path, "channels", "remove", "desk", "--operators", "--owner", "Nordwind")
    run(tmp_path, "channels", "disable", "desk", "--operators")
    run(tmp_path, "channels", "enable", "desk", "--operators")
    run(tmp_path, "channels", "remove", "desk", "--operators")
    with pytest.raises(FaultwatchError, match="operators have no channel 'desk'"):
        run(tmp_path, "channels", "remove", "desk", "--operators")
