"""What every page of a signed-in reader has around it."""

import shlex
from collections.abc import Mapping

import msgspec
from starlette.requests import Request
from starlette.responses import HTMLResponse

from ...fleet.access import Access
from ...fleet.views import AlertQuery
from ...telemetry.schema import DeviceType
from ..alert_words import FAULT_KINDS, fault_label
from ..identity import Visitor
from ..parts import parts
from ..render import page
from ..words import Reader, iso


def framed(
    request: Request,
    template: str,
    visitor: Visitor,
    access: Access,
    reader: Reader,
    here: str,
    context: Mapping[str, object],
) -> HTMLResponse:
    """Render a page with header, account menu and the number of open alerts."""
    around = {
        "session": visitor,
        "may_act": visitor.may_act,
        "here": here,
        "open_alerts": access.alert_counts(AlertQuery(), reader.now_ms).open,
        "fault_kinds": FAULT_KINDS,
        "fault_label": fault_label,
    }
    return page(request, template, reader, {**around, **context})


def first_reading(request: Request, access: Access, now_ms: int) -> dict[str, object]:
    """What to copy to send the first reading: of a type there is, else of one to make."""
    web = parts(request)
    types = [entry.device_type for entry in access.types()]
    owners = access.owners()
    data_folder = shlex.quote(str(web.settings.data))
    return {
        "data_folder": data_folder,
        "owner_name": shlex.quote(owners[0].name if owners else "My company"),
        "make_type": _make_type(data_folder),
        "base_url": str(request.base_url).rstrip("/"),
        "example_type": types[0].name if types else "",
        "example_body": _body(types[0] if types else None, now_ms),
    }


def _make_type(data_folder: str) -> str:
    smallest = '{"name": "my_type", "sensors": [{"name": "temperature", "unit": "°C"}]}'
    return f"echo '{smallest}' > my_type.json && faultwatch types add --data {data_folder} my_type.json"


def _body(device_type: DeviceType | None, now_ms: int) -> str:
    values = {"temperature": 21.5}
    if device_type is not None:
        active = [sensor for sensor in device_type.sensors if not sensor.retired][:2]
        values = {sensor.name: _likely(sensor.low, sensor.high) for sensor in active}
    row = {
        "device_id": "first-device",
        "type": device_type.name if device_type else "my_type",
        "timestamp": iso(now_ms // 1000 * 1000),
        "values": values,
    }
    return msgspec.json.encode({"rows": [row]}).decode()


def _likely(low: float | None, high: float | None) -> float:
    """A value within a sensor's valid range."""
    if low is None or high is None:
        return low if low is not None else high if high is not None else 1.0
    return round(low + (high - low) / 4, 2)
