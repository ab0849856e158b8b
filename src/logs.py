"""How log lines are written: an event name and key-values to stderr, for people or as JSON, without secrets.

`get_logger(__name__).info("snapshot.created", rows=12)` and the standard library's loggers (uvicorn, sqlalchemy,
alembic) come out alike.
"""

import logging
import re
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

if TYPE_CHECKING:
    from .settings import Settings

REMOVED = "[removed]"
SECRET_WORDS = frozenset({"authorization", "cookie", "password", "secret", "token"})
HARMLESS_ENDINGS = frozenset({"count", "id", "name", "prefix"})
"""`token_id` says which token it was and is no secret itself."""

QUIET = ("alembic.runtime", "apprise", "httpx", "numba", "uvicorn.access")
"""Loggers of libraries whose every-day messages would drown ours; their warnings are shown."""


def configure(settings: "Settings") -> None:
    """Send every log line of this process to stderr, in the format and from the level that the settings name."""
    shared = _shared_processors()
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.ExtraAdder(), *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_renderers(settings.log_format)],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.log_level.upper())
    _quieten(settings.log_level)


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """The logger of a module; it may be made before `configure` is called."""
    logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return logger


def remove_secrets(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Replace the value of every key that says it is a secret, at any depth."""
    return {key: REMOVED if _is_secret(key) else _cleaned(value) for key, value in event.items()}


def _is_secret(key: object) -> bool:
    words = re.split(r"[^a-z0-9]+", str(key).lower())
    return words[-1] not in HARMLESS_ENDINGS and any(word.removesuffix("s") in SECRET_WORDS for word in words)


def _cleaned(value: object) -> object:
    if isinstance(value, Mapping):
        return {key: REMOVED if _is_secret(key) else _cleaned(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_cleaned(inner) for inner in value]
    return value


def _shared_processors() -> list[Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        remove_secrets,
    ]


def _renderers(log_format: str) -> list[Processor]:
    if log_format == "json":
        without_values = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
        return [structlog.processors.ExceptionRenderer(without_values), structlog.processors.JSONRenderer()]
    return [
        structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback, pad_event_to=0
        )
    ]


def _quieten(log_level: str) -> None:
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.DEBUG if log_level == "debug" else logging.WARNING)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
