"""Log lines: one shape for ours and for libraries', to stderr, without secrets."""

import json
import logging
from collections.abc import Iterator
from typing import Literal

import pytest
import structlog

from ..logs import REMOVED, configure, get_logger, remove_secrets
from ..settings import Settings


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    """What `configure` changes belongs to the process; put it back."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level
    structlog.reset_defaults()


def logged(capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    """The one JSON line on stderr."""
    out, err = capsys.readouterr()
    assert out == ""
    line: dict[str, object] = json.loads(err)
    return line


def configured(log_format: Literal["console", "json"] = "json", **settings: object) -> None:
    """Configure logging by these settings."""
    configure(Settings.model_validate({"log_format": log_format, **settings}))


def test_an_event_is_a_name_and_key_values(capsys: pytest.CaptureFixture[str]) -> None:
    configured()
    get_logger("faultwatch.lake").info("snapshot.created", rows=12)
    line = logged(capsys)
    assert line["event"] == "snapshot.created"
    assert (line["rows"], line["level"], line["logger"]) == (12, "info", "faultwatch.lake")
    assert str(line["timestamp"]).endswith("Z")


def test_libraries_come_out_alike(capsys: pytest.CaptureFixture[str]) -> None:
    configured()
    logging.getLogger("uvicorn.error").warning("Started %s", "here", extra={"token": "hush"})
    line = logged(capsys)
    assert (line["event"], line["level"], line["token"]) == ("Started here", "warning", REMOVED)


def test_for_people_it_is_one_readable_line(capsys: pytest.CaptureFixture[str]) -> None:
    configured("console")
    get_logger("faultwatch.lake").info("snapshot.created", rows=12)
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "snapshot.created" in err and "rows=12" in err


@pytest.mark.parametrize("log_format", ["console", "json"])
def test_a_traceback_shows_no_values(
    capsys: pytest.CaptureFixture[str], log_format: Literal["console", "json"]
) -> None:
    configured(log_format)
    hidden = "hush"
    try:
        raise RuntimeError(f"{len(hidden)} letters")
    except RuntimeError:
        get_logger("x").exception("thing.failed")
    err = capsys.readouterr().err
    assert "RuntimeError" in err and "4 letters" in err
    assert "'hush'" not in err.replace('hidden = "hush"', "")


def test_below_the_level_nothing_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    configured(log_level="warning")
    get_logger("x").info("quiet")
    logging.getLogger("sqlalchemy.engine").info("SELECT")
    assert capsys.readouterr().err == ""


def test_chatty_libraries_are_heard_only_when_debugging(capsys: pytest.CaptureFixture[str]) -> None:
    configured()
    logging.getLogger("httpx").info("HTTP Request")
    assert capsys.readouterr().err == ""
    configured(log_level="debug")
    logging.getLogger("httpx").info("HTTP Request")
    assert logged(capsys)["event"] == "HTTP Request"


def test_secrets_are_removed_at_any_depth() -> None:
    event = {
        "token": "hush",
        "api_tokens": ["hush"],
        "headers": {"Authorization": "hush", "Set-Cookie": "hush", "Accept": "*/*"},
        "channels": [{"webhook_secret": "hush", "name": "mail"}],
        "token_id": 7,
        "rows": 3,
    }
    cleaned = remove_secrets(None, "info", event)
    assert "hush" not in repr(cleaned)
    assert (cleaned["token_id"], cleaned["rows"], cleaned["headers"]["Accept"]) == (7, 3, "*/*")
    assert cleaned["channels"][0]["name"] == "mail"
