"""What Model Monitor finds, as alerts of kind `model` to the operators: one for each endpoint and what is compared."""

import textwrap
from typing import Literal

import structlog
from sqlalchemy import Engine

from ...fleet import model_alerts
from ...fleet.database import writing
from .comparisons import BROKEN, CLEAN, FOUND, Comparison
from .monitoring import Quality

log = structlog.get_logger(__name__)

Settled = Literal["reported", "ended", "unchanged"]
FAILED = "monitor_failed"


def cause_of(quality: Quality) -> str:
    """The cause of an alert about what a comparison found."""
    return f"{quality.suffix}_quality_violated"


def settle(engine: Engine, region: str, endpoint: str, quality: Quality, last: Comparison, now_ms: int) -> Settled:
    """Open or end the alert about an endpoint by its last comparison; what is under way, or not yet, changes nothing.

    One that failed is an alert of its own, and ends none. Raises StorageError where the database fails.
    """
    subject = f"endpoint {endpoint}"
    failed = f"{FAILED}_{quality.suffix}"
    link = f"https://{region}.console.aws.amazon.com/sagemaker/home?region={region}#/endpoints/{endpoint}"
    with writing(engine) as session:
        if last.state in BROKEN:
            said = f"Comparing what endpoint {endpoint} is sent with training {last.state.lower()}: {last.reason}"
            model_alerts.report(session, failed, _short(said), link, now_ms, subject=subject)
            return "reported"
        if last.state not in (FOUND, CLEAN):
            return "unchanged"
        model_alerts.clear(session, failed, "a later comparison went well", now_ms, subject=subject)
        if last.found:
            said = "; ".join(violation.sentence for violation in last.found)
            model_alerts.report(session, cause_of(quality), _short(said), link, now_ms, subject=subject)
        else:
            model_alerts.clear(session, cause_of(quality), "a later comparison found nothing", now_ms, subject=subject)
    log.info("endpoint.compared", endpoint=endpoint, compared=quality.suffix, found=len(last.found))
    return "reported" if last.found else "ended"


def _short(sentence: str) -> str:
    return textwrap.shorten(sentence, model_alerts.MAX_SENTENCE, placeholder=" …")
