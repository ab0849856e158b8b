"""Alerts by mail, through Apprise to a real SMTP server."""

from collections.abc import Iterator

import pytest

from ...fleet import channels, database, outbox
from ...fleet.outbox import time_text
from .mail import Mailbox, mailbox
from .test_notifier import NOW_MS, Setting, setting

__all__ = ["setting"]

pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")  # a plug-in of Apprise


@pytest.fixture
def box() -> Iterator[Mailbox]:
    with mailbox() as running:
        yield running


def add(setting: Setting, box: Mailbox) -> int:
    """A channel that mails to the box."""
    with database.writing(setting.engine) as session:
        target = channels.target_of(box.address)
        return channels.add(session, setting.secrets, setting.owner_id, "mail", target, NOW_MS)


def test_an_alert_comes_as_a_mail_that_says_what_and_where(setting: Setting, box: Mailbox) -> None:
    add(setting, box)
    setting.fire()
    setting.send()
    [mail] = box.got
    assert mail["Subject"] == "Warning: pump-1"
    assert mail["To"] == "kim@example.org" and "fw@example.org" in mail["From"]
    body = mail.get_body(("plain", "html"))
    assert body is not None
    text = body.get_content()
    assert "Something is odd." in text and "http://faults/alerts?chosen=1" in text
    assert setting.rows() == [("sent", 1, None)]


def test_a_mail_that_is_put_off_is_sent_later(setting: Setting, box: Mailbox) -> None:
    add(setting, box)
    box.answers = ["451 try again later", "550 no such person"]
    setting.fire()
    for attempt in (1, 2):
        setting.send()
        [(state, attempts, error)] = setting.rows()
        assert (state, attempts) == ("pending", attempt)
        assert error is not None and "could not deliver by mailto" in error
        setting.clock.ms += 20_000
    setting.send()
    assert len(box.got) == 1
    assert setting.rows() == [("sent", 3, None)]


def test_a_mail_server_that_is_away_costs_no_alert(setting: Setting) -> None:
    with mailbox() as gone:
        add(setting, gone)
    setting.fire()
    setting.send()
    [(state, attempts, error)] = setting.rows()
    assert (state, attempts) == ("pending", 1) and error is not None


def test_a_test_by_mail_says_that_it_is_one(setting: Setting, box: Mailbox) -> None:
    channel_id = add(setting, box)
    with database.writing(setting.engine) as session:
        outbox.queue_trial(session, channel_id, "Nordwind", "mail", NOW_MS)
    setting.send()
    [mail] = box.got
    assert mail["Subject"] == "Test: Nordwind"
    body = mail.get_body(("plain", "html"))
    assert body is not None and "no device is affected" in body.get_content()
    assert time_text(NOW_MS).startswith("2025")
