"""Alerts about models: one per cause, for operators only, told through their channels."""

import multiprocessing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, func, select, update

from ...exceptions import AccessError, ConfigError, ConflictError
from ...fleet import alerts, channels, database, events, model_alerts, models, outbox
from ...fleet.access import Access, Principal
from ...fleet.acts import Acts
from ...fleet.channels import Target
from ...fleet.secrets import open_secrets
from ...fleet.views import AlertQuery
from ...service.channels import message
from .conftest import NOW_MS, Fleet
from .test_alerts import MINUTE, add_channel, firing, told

SAID = "Training of Pump failed at model_trainer: the disk is full."
OPERATOR = Principal(None, "operator", None, "Olga")


def report(engine: Engine, sentence: str = SAID, at_ms: int = NOW_MS, **more: Any) -> int:
    with database.writing(engine) as session:
        named = {"subject": "pump", "link": "/models?type=1", **more}
        return model_alerts.report(session, named.pop("cause", "training_failed"), sentence, now_ms=at_ms, **named)


def clear(engine: Engine, cause: str = "training_failed", at_ms: int = NOW_MS + MINUTE) -> bool:
    with database.writing(engine) as session:
        return model_alerts.clear(session, cause, "run 7 went well", at_ms, subject="pump")


def of_operators(engine: Engine, min_severity: str = "warning") -> int:
    with database.writing(engine) as session:
        known = session.scalar(select(func.count()).select_from(models.Channel))
        row = models.Channel(
            owner_id=None,
            name=f"ops {known}",
            kind="webhook",
            address="x",
            min_severity=min_severity,
            created_ms=NOW_MS,
        )
        session.add(row)
        session.flush()
        return row.id


def test_one_is_open_per_cause_until_it_is_right_again(engine: Engine) -> None:
    first = report(engine)
    assert report(engine, "Training of Pump failed again.", NOW_MS + 1) == first
    assert report(engine, cause="budget_exceeded") != first and report(engine, subject="fan") != first
    with database.reading(engine) as session:
        assert model_alerts.open_about(session, "pump") == {
            "training_failed": "Training of Pump failed again.",
            "budget_exceeded": SAID,
        }
    assert clear(engine) and not clear(engine)
    assert report(engine, at_ms=NOW_MS + 2 * MINUTE) != first, "the next one is another alert"
    with database.reading(engine) as session:
        history = Access(session, OPERATOR).alert_history(first)
        assert [(entry.what, entry.text) for entry in history] == [("fired", SAID), ("resolved", "run 7 went well")]


def test_operators_see_it_and_owners_do_not(engine: Engine, fleet: Fleet) -> None:
    alert_id = report(engine)
    with database.writing(engine) as session:
        mine = Access(session, OPERATOR)
        (seen,) = mine.alerts(AlertQuery(), NOW_MS).items
        assert (seen.kind, seen.owner_id, seen.owner, seen.subject, seen.cause) == (
            "model", None, None, "pump", "training_failed",
        )  # fmt: skip
        assert seen.link == "/models?type=1" and seen.said(NOW_MS) == SAID
        assert mine.alert_counts(AlertQuery(), NOW_MS).open == 1 and len(mine.events(0)) == 1
        Acts(session, OPERATOR, NOW_MS).acknowledge(alert_id)
        with pytest.raises(ConflictError, match="ends by itself with the next good run"):
            Acts(session, OPERATOR, NOW_MS).dismiss(alert_id, "normal_operation")
        for role in ("owner", "viewer"):
            other = Principal(7, role, fleet.north, "Nora")
            theirs = Access(session, other)
            assert theirs.alerts(AlertQuery(tab="all"), NOW_MS).items == [] and theirs.events(0) == []
            assert theirs.alert_counts(AlertQuery(), NOW_MS).open == 0
            for act in (
                lambda theirs=theirs: theirs.alert(alert_id),
                lambda other=other: Acts(session, other, NOW_MS).acknowledge(alert_id),
            ):
                with pytest.raises(AccessError) as refused:
                    act()
                assert refused.value.status == 404
    with database.reading(engine) as session:
        assert [event.owner_id for event in events.after(session, 0)] == [None, None]


def test_channels_of_operators_are_told_and_no_others(engine: Engine, fleet: Fleet) -> None:
    owners = add_channel(engine, fleet.north)
    mild, on_call = of_operators(engine, "info"), of_operators(engine)
    with database.applying(engine) as session:
        alerts.record(session, 0, 1, [firing(fleet)], NOW_MS)
    assert told(engine) == [(owners, "firing")], "and what is an owner's isn't told to operators"
    report(engine, severity="info")
    assert told(engine)[1:] == [(mild, "firing")]
    report(engine, severity="warning")
    report(engine, "another sentence", severity="warning")
    assert told(engine)[2:] == [(mild, "worse"), (on_call, "firing")], "only what is worse is told anew"
    clear(engine)
    assert told(engine)[4:] == [(mild, "resolved"), (on_call, "resolved")]
    with database.reading(engine) as session:
        due = {notice.channel_id: notice for notice in outbox.due(session, NOW_MS + MINUTE)}
        payload = due[on_call].payload
    assert payload["owner"] is payload["device"] is payload["site"] is None
    sent = message("key", payload, "https://watch.example.com")
    assert sent.title == "Warning: model of pump" and sent.text.splitlines()[0] == SAID
    assert sent.link.startswith("https://watch.example.com/alerts?chosen=")


def test_a_silence_outlasts_the_alert(engine: Engine) -> None:
    of_operators(engine)
    alert_id = report(engine)
    with database.writing(engine) as session:
        Acts(session, OPERATOR, NOW_MS).silence(alert_id, NOW_MS + 10 * MINUTE)
    clear(engine)
    report(engine, at_ms=NOW_MS + 2 * MINUTE)
    with database.reading(engine) as session:
        assert outbox.due(session, NOW_MS + 3 * MINUTE) == []
        assert [notice.payload["event"] for notice in outbox.due(session, NOW_MS + 11 * MINUTE)] == ["firing"]


def test_all_or_nothing(engine: Engine) -> None:
    of_operators(engine)
    with pytest.raises(RuntimeError), database.writing(engine) as session:
        model_alerts.report(session, "training_failed", SAID, "/models", NOW_MS)
        raise RuntimeError
    assert told(engine) == []
    with database.reading(engine) as session:
        assert session.scalar(select(func.count()).select_from(models.Alert)) == 0


def _reports(url: str, start: Any) -> None:
    engine = database.connect(url)
    start.wait()
    report(engine)
    engine.dispose()


def test_who_reports_at_once_opens_one(engine: Engine) -> None:
    context = multiprocessing.get_context("spawn")
    start = context.Barrier(3)
    url = engine.url.render_as_string(hide_password=False)
    children = [context.Process(target=_reports, args=(url, start)) for _ in range(3)]
    for child in children:
        child.start()
    for child in children:
        child.join(60)
    assert [child.exitcode for child in children] == [0, 0, 0]
    with database.reading(engine) as session:
        assert session.scalar(select(func.count()).select_from(models.Alert)) == 1


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"cause": "Training failed"}, "expected a name such as training_failed"),
        ({"sentence": " "}, "expected 1 to 1000"),
        ({"link": "javascript:alert(1)"}, "expected a path of the dashboard"),
        ({"link": "//elsewhere.example.com"}, "expected a path of the dashboard"),
        ({"link": "/\\elsewhere.example.com"}, "expected a path of the dashboard"),
        ({"subject": "a\nb"}, "printable"),
        ({"severity": "awful"}, "expected one of info"),
    ],
)
def test_what_makes_no_sense_is_refused(engine: Engine, wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        report(engine, **wrong)


def test_a_link_may_lead_out_of_the_house(engine: Engine) -> None:
    link = "https://console.aws.amazon.com/sagemaker/home?region=eu-central-1#/monitor"
    alert_id = report(engine, cause="endpoint_quality", link=link)
    with database.reading(engine) as session:
        assert Access(session, OPERATOR).alert(alert_id).link == link


def test_a_channel_of_operators_has_a_name_of_its_own(engine: Engine, fleet: Fleet, tmp_path: Path) -> None:
    secrets, target = open_secrets(tmp_path / "key"), Target("webhook", "https://x.example.com", "hush")
    with database.writing(engine) as session:
        channels.add(session, secrets, fleet.north, "on call", target, NOW_MS)
        made = channels.add(session, secrets, None, "on call", target, NOW_MS)
        assert channels.find(session, None, "on call") == made
        with pytest.raises(ConflictError, match="operators have a channel 'on call' already"):
            channels.add(session, secrets, None, "on call", target, NOW_MS)
        with pytest.raises(ConfigError, match="leave out the kinds"):
            channels.add(session, secrets, None, "second", target, NOW_MS, kinds=["anomaly"])
        assert channels.target(session, secrets, None, "on call") == target
        seen = Access(session, Principal(7, "owner", fleet.north, "Nora")).channels()
        assert [channel.owner_id for channel in seen] == [fleet.north]
        assert [channel.owner for channel in Access(session, OPERATOR).channels()] == [None, "Nordwind"]
        channels.remove(session, None, "on call")
        session.execute(update(models.Channel).values(disabled=True))
        assert channels.find(session, fleet.north, "on call") != made
