"""/api/v1/rules: the rules of owners about their sensors."""

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.requests import Request

from ...fleet.access import Access
from ...fleet.administration import Administration
from ...fleet.database import writing
from ...fleet.rules import NewRule
from ..identity import Acting, Reading, access_of
from ..ids import Id
from ..parts import parts
from . import models, shown

router = APIRouter(tags=["rules"])


@router.get("/rules", summary="Rules", responses=models.PROBLEMS)
def rules(
    request: Request,
    visitor: Reading,
    cursor: Annotated[str | None, Query(description="`next` of the page before")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> models.Rules:
    """The rules you see, by id, a page at a time."""
    with access_of(parts(request), visitor) as access:
        page = access.rules(cursor=cursor, limit=limit)
    return models.Rules(items=[shown.rule(view) for view in page.items], next=page.next)


@router.get("/rules/{rule_id}", summary="A rule", responses=models.PROBLEMS)
def rule(request: Request, visitor: Reading, rule_id: Id) -> models.Rule:
    """One rule that is in force."""
    with access_of(parts(request), visitor) as access:
        return shown.rule(access.rule(rule_id))


@router.post("/rules", summary="Put a rule in force", responses=models.ACT_PROBLEMS)
def add_rule(request: Request, visitor: Acting, told: models.NewRule) -> models.Rule:
    """Add a rule, or return the one that says the same."""
    web = parts(request)
    with writing(web.engine) as session:
        access = Access(session, visitor.principal)
        acts = Administration(session, visitor.principal, web.now_ms())
        owner_id = acts.owner_meant(told.owner)
        key = None if told.device_id is None else access.device(told.device_id, told.owner).key
        new = NewRule(
            sensor=told.sensor,
            comparison=told.comparison,
            value=told.value,
            back=told.back,
            hold_ms=round(told.for_s * 1000),
            severity=told.severity,
            device_key=key,
        )
        return shown.rule(access.rule(acts.add_rule(owner_id, told.type, new)))


@router.post("/rules/{rule_id}/remove", summary="Take a rule back", responses=models.ACT_PROBLEMS)
def remove_rule(request: Request, visitor: Acting, rule_id: Id) -> models.Rule:
    """Take a rule back; its open alerts end."""
    web = parts(request)
    with writing(web.engine) as session:
        found = Access(session, visitor.principal).rule(rule_id)
        Administration(session, visitor.principal, web.now_ms()).remove_rule(rule_id)
    return shown.rule(found)
