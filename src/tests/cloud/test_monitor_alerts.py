"""What Model Monitor finds becomes an alert to the operators: once, until a later comparison finds nothing."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import Engine, insert, select

from ...cloud.aws import comparisons
from ...cloud.aws.comparisons import Comparison, read_violations
from ...cloud.aws.monitor_alerts import settle
from ...cloud.aws.monitoring import DATA
from ...cloud.cli_monitor import alert
from ...fleet import model_alerts, models
from ...fleet.database import connect, migrate, reading, writing
from ..systems import s3

NOW_MS = 1_790_000_000_000
HOUR_MS = 3_600_000
PUMP, DISPLAY = "faultwatch-pump", "faultwatch-display"


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """A database whose operators are told on one channel."""
    made = connect(database_url)
    migrate(made)
    row = {"name": "pager", "kind": "webhook", "address": "-", "min_severity": "info", "created_ms": NOW_MS}
    with writing(made) as session:
        session.execute(insert(models.Channel).values(owner_id=None, **row))
    yield made
    made.dispose()


def found(*features: str, endpoint: str = PUMP) -> Comparison:
    """A comparison that found some sensors to be missing."""
    one = [{"feature_name": name, "constraint_check_type": "completeness_check"} for name in features]
    body = msgspec.json.encode({"violations": one})
    return Comparison("CompletedWithViolations", "", list(read_violations(body, endpoint, NOW_MS)))


CLEAN = Comparison("Completed", "", [])


def told(engine: Engine) -> list[tuple[str | None, str, str]]:
    """Subject, state and sentence of each alert."""
    table = models.Alert
    with reading(engine) as session:
        rows = session.execute(select(table.subject, table.state, table.sentence).order_by(table.id))
        return [(row.subject, row.state, row.sentence) for row in rows]


def notices(engine: Engine) -> list[str]:
    """What operators were told of."""
    with reading(engine) as session:
        return [str(payload["event"]) for payload in session.scalars(select(models.Outbox.payload))]


def test_an_alert_is_opened_once_and_ended_by_a_later_comparison_that_finds_nothing(engine: Engine) -> None:
    said = [
        settle(engine, "eu-central-1", PUMP, DATA, last, NOW_MS + hour * HOUR_MS)
        for hour, last in enumerate([CLEAN, found("flow"), found("flow"), found("flow", "pressure"), CLEAN, CLEAN])
    ]
    assert said == ["ended", "reported", "reported", "reported", "ended", "ended"]
    ((subject, state, sentence),) = told(engine)
    assert subject == f"endpoint {PUMP}" and state == "resolved"
    assert sentence.count("is missing more often than in training, says Model Monitor of endpoint") == 2
    assert notices(engine) == ["firing", "resolved"]
    settle(engine, "eu-central-1", PUMP, DATA, found("flow"), NOW_MS + 7 * HOUR_MS)
    assert [row[1] for row in told(engine)] == ["resolved", "firing"]


def test_endpoints_are_told_apart_and_what_is_under_way_changes_nothing(engine: Engine) -> None:
    settle(engine, "eu-central-1", PUMP, DATA, found("flow"), NOW_MS)
    settle(engine, "eu-central-1", DISPLAY, DATA, CLEAN, NOW_MS)
    for state in ("", "Pending", "InProgress", "Stopping"):
        assert settle(engine, "eu-central-1", PUMP, DATA, Comparison(state, "", []), NOW_MS) == "unchanged"
    assert [row[:2] for row in told(engine)] == [(f"endpoint {PUMP}", "firing")]
    with reading(engine) as session:
        (link,) = session.scalars(select(models.Alert.link))
    assert link is not None and link.endswith(f"region=eu-central-1#/endpoints/{PUMP}")


def test_a_comparison_that_failed_is_an_alert_of_its_own(engine: Engine) -> None:
    settle(engine, "eu-central-1", PUMP, DATA, found("flow"), NOW_MS)
    settle(engine, "eu-central-1", PUMP, DATA, Comparison("Failed", "no data was captured", []), NOW_MS + HOUR_MS)
    assert [row[1] for row in told(engine)] == ["firing", "firing"]
    assert "failed: no data was captured" in told(engine)[1][2]
    settle(engine, "eu-central-1", PUMP, DATA, found("flow"), NOW_MS + 2 * HOUR_MS)
    assert [row[1] for row in told(engine)] == ["firing", "resolved"]
    many = found(*(f"sensor-{number:03d}" for number in range(100)))
    settle(engine, "eu-central-1", PUMP, DATA, many, NOW_MS + 3 * HOUR_MS)
    assert len(told(engine)[0][2]) <= model_alerts.MAX_SENTENCE


def test_the_command_is_what_a_timer_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], moto_server: s3.Bucket
) -> None:
    comings = iter([Comparison("", "", []), found("flow"), CLEAN])
    monkeypatch.setattr(comparisons, "last_of", lambda *_: next(comings))
    for words in ("not compared yet, unchanged", "CompletedWithViolations, reported", "Completed, ended"):
        alert(PUMP, data=tmp_path)
        assert capsys.readouterr().out == f"{PUMP}: {words}\n"
    engine = connect(f"sqlite:///{tmp_path / 'faultwatch.db'}")
    assert [row[:2] for row in told(engine)] == [(f"endpoint {PUMP}", "resolved")]
    engine.dispose()
