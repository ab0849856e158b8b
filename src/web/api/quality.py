"""GET /api/v1/quality: what is wrong with the data."""

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.requests import Request

from ..identity import Reading, access_of
from ..parts import parts
from ..quality_view import quality
from ..words import iso
from . import models
from .shown import optional_iso

router = APIRouter(tags=["quality"])


@router.get("/quality", summary="What is wrong with the data", responses=models.PROBLEMS)
def data_quality(
    request: Request,
    visitor: Reading,
    owner: Annotated[str | None, Query(description="only of this owner, where you see several")] = None,
) -> models.Quality:
    """Rows set aside in the last seven days by reason, and devices that are silent, in trouble or late now."""
    web = parts(request)
    now_ms = web.now_ms()
    with access_of(web, visitor) as access:
        found = quality(web, access, visitor.principal, now_ms, owner)
    return models.Quality(
        at=iso(now_ms),
        since=iso(found.from_ms),
        set_aside=[
            models.SetAside(
                reason=reason.name,
                rows=reason.rows,
                devices=reason.devices,
                newest=iso(reason.newest_ms),
                samples=[
                    models.SetAsideRow(
                        arrived=iso(sample.at_ms), device_id=sample.device_id, message=sample.message, raw=sample.raw
                    )
                    for sample in reason.samples
                ],
            )
            for reason in found.reasons
        ],
        silent=models.SilentDevices(
            count=found.n_silent,
            devices=[
                models.SilentDevice(
                    device_id=each.device_id,
                    owner=each.owner,
                    site=each.site or None,
                    since=iso(each.since_ms),
                    last_reading=optional_iso(each.last_ms),
                )
                for each in found.silent
            ],
        ),
        sensors=models.SensorTroubles(
            count=found.n_troubles,
            sensors=[
                models.SensorTrouble(
                    device_id=each.device_id,
                    owner=each.owner,
                    site=each.site or None,
                    sensor=each.sensor,
                    sentence=each.sentence,
                    since=iso(each.since_ms),
                )
                for each in found.troubles
            ],
        ),
        late=models.LateDevices(
            count=found.n_late,
            devices=[
                models.LateDevice(
                    device_id=each.device_id,
                    owner=each.owner,
                    site=each.site or None,
                    late_by_s=each.delay_ms / 1000,
                    last_reading=iso(each.last_ms),
                )
                for each in found.late
            ],
        ),
    )
