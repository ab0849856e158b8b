"""GET /api/v1/devices/{device_id}/readings: values, scores and expected ranges, as JSON, CSV or Arrow."""

from io import BytesIO
from typing import Annotated

import msgspec
import polars as pl
from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from ...exceptions import IngestError
from ...telemetry.expected import edge_names
from ...telemetry.schema import DeviceType
from ..identity import Reading, access_of
from ..parts import Parts, parts
from ..ranges import MEDIA, Format, TimeRange, choose_format, parse_range, parse_resolution
from ..rows import device_rows
from ..series import Series, series
from ..words import iso
from . import models

router = APIRouter(tags=["readings"])
MOST_JSON_ROWS = 200_000


@router.get(
    "/devices/{device_id:path}/readings",
    summary="Readings of a device",
    responses={
        **models.PROBLEMS,
        200: {
            "description": "JSON in columns, CSV, or an Arrow IPC stream",
            "content": {"application/json": {}, "text/csv": {}, "application/vnd.apache.arrow.stream": {}},
        },
    },
)
def readings(
    request: Request,
    visitor: Reading,
    device_id: str,
    start: Annotated[
        str | None, Query(alias="from", description="RFC 3339, included; default a day before `to`")
    ] = None,
    end: Annotated[str | None, Query(alias="to", description="RFC 3339, not included; default now")] = None,
    resolution: Annotated[
        str, Query(description="`raw`, `auto`, or how many points; then each bucket gives its extremes")
    ] = "raw",
    form: Annotated[str | None, Query(alias="format", description="json, csv or arrow; default by Accept")] = None,
    sensors: Annotated[str | None, Query(description="names with commas between; default all")] = None,
    owner: Annotated[str | None, Query(description="the owner's name, where several have a device of that id")] = None,
) -> Response:
    """Values, anomaly score and expected range of a device over time.

    Downsampled to N points, each of N/2 buckets gives the smallest and the largest value it holds, so that a
    spike of one minute is seen in a month.
    """
    web = parts(request)
    chosen = choose_format(form, request.headers.get("accept", ""))
    span = parse_range(start, end, web.now_ms())
    points = parse_resolution(resolution)
    with access_of(web, visitor) as access:
        device = access.device(device_id, owner)
        device_type = access.type(device.type_id).device_type
    names = _chosen(sensors, device_type)
    rows = device_rows(web, device.type_id, [device.key], span, ["score", "bands", *names])
    if points is None and chosen == "json" and rows.height > MOST_JSON_ROWS:
        raise IngestError(
            f"{rows.height:,} rows are too many for JSON (at most {MOST_JSON_ROWS:,}); ask for format=csv or"
            " format=arrow, a shorter range, or resolution=auto"
        )
    answer = _empty(names, device_type) if not rows.height else series(rows, device_type, points, names)
    if chosen == "json":
        return Response(_json(web, device.device_id, device.key, device_type, span, answer), media_type=MEDIA["json"])
    return _file(chosen, device.device_id, answer)


def _chosen(text: str | None, device_type: DeviceType) -> list[str]:
    if text is None:
        return [sensor.name for sensor in device_type.sensors]
    names = [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in names if name not in device_type.sensor_names]
    if unknown or not names:
        raise IngestError(
            f"sensors={text!r}: a {device_type.name} has no {', '.join(unknown) or 'sensor of no name'}; it has"
            f" {', '.join(device_type.sensor_names)}"
        )
    return names


def _empty(names: list[str], device_type: DeviceType) -> Series:
    edges = {name: edge_names(name, device_type) for name in names}
    schema: dict[str, pl.DataType | type[pl.DataType]] = {
        "timestamp": pl.Datetime("us", "UTC"),
        **dict.fromkeys(["score", *names, *(edge for pair in edges.values() for edge in pair)], pl.Float64),
    }
    return Series(pl.DataFrame(schema=schema), edges, None)


def _json(web: Parts, device_id: str, key: int, device_type: DeviceType, span: TimeRange, answer: Series) -> bytes:
    frame = answer.frame
    about = {sensor.name: sensor for sensor in device_type.sensors}
    now = web.rosters.now().device(key)
    return msgspec.json.encode(
        {
            "device_id": device_id,
            "type": device_type.name,
            "from": iso(span.start_ms),
            "to": iso(span.end_ms),
            "resolution": "raw" if answer.bucket_ms is None else "extremes",
            "bucket_ms": answer.bucket_ms,
            "interval_ms": device_type.interval_ms,
            "threshold": now["threshold"],
            "about": {
                name: {"label": about[name].title, "unit": about[name].unit, "precision": about[name].precision}
                for name in answer.sensors
            },
            "timestamp": frame["timestamp"].dt.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_list(),
            "score": frame["score"].round(3).to_list(),
            "sensors": {name: frame[name].to_list() for name in answer.sensors},
            "expected": {
                name: {
                    "low": frame[low].round_sig_figs(6).to_list(),
                    "high": frame[high].round_sig_figs(6).to_list(),
                }
                for name, (low, high) in answer.edges.items()
            },
        }
    )


def _file(chosen: Format, device_id: str, answer: Series) -> Response:
    frame = answer.frame.select(pl.lit(device_id).alias("device_id"), pl.all())
    name = "".join(c if c.isascii() and (c.isalnum() or c in "-_.") else "_" for c in device_id)
    if chosen == "csv":
        body = frame.write_csv(datetime_format="%Y-%m-%dT%H:%M:%S%.3fZ").encode()
        disposition = {"Content-Disposition": f'attachment; filename="{name}.csv"'}
        return Response(body, media_type=MEDIA["csv"], headers=disposition)
    out = BytesIO()
    frame.write_ipc_stream(out)
    return Response(out.getvalue(), media_type=MEDIA["arrow"])
