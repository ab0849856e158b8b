"""What the API answers and takes, as OpenAPI describes it."""

from typing import Any, Literal

from pydantic import BaseModel, Field

Status = Literal["learning", "healthy", "suspect", "faulty", "silent", "maintenance"]


class Device(BaseModel):
    """A device, its status and its newest reading."""

    device_id: str
    name: str
    owner: str
    type: str
    site: str | None
    latitude: float | None
    longitude: float | None
    tags: dict[str, str]
    registered: str
    status: Status
    status_since: str | None
    last_reading: str | None
    score: float | None
    threshold: float | None


class Devices(BaseModel):
    """A page of devices; `next` is the cursor of the next page, null on the last."""

    items: list[Device]
    next: str | None


class LikelyKind(BaseModel):
    """A kind of fault and how likely it is, 0 to 1."""

    kind: str
    probability: float


class LikelyFault(BaseModel):
    """The kind of fault that an alert most likely is, by its readings up to `until`; `others` are the next likely, and
    `signs` say what speaks for it. A kind is named from a probability of 0.5 on."""

    kind: str
    probability: float
    others: list[LikelyKind]
    signs: list[str]
    until: str
    model_version: int


class Alert(BaseModel):
    """An alert; about a device, about a site where `device_id` is null, or, of kind `model`, about a model: then it
    has no owner, and `cause`, `subject` and `link` say what is wrong with what, and where one sees more."""

    id: int
    owner: str | None
    device_id: str | None
    site: str | None
    kind: str
    sensor: str | None
    state: Literal["firing", "resolved"]
    severity: Literal["info", "warning", "critical"]
    sentence: str
    first_signs: str | None
    pending: str | None
    fired: str
    resolved: str | None
    resolution: str | None
    score: float | None
    peak_score: float | None
    blame: list[dict[str, Any]]
    model_version: int | None
    historic: bool
    acknowledged: str | None
    acknowledged_by: str | None
    silenced_until: str | None
    confirmed: str | None
    confirmed_kind: str | None
    cause: str | None
    subject: str | None
    link: str | None
    likely_fault: LikelyFault | None


class Alerts(BaseModel):
    """A page of alerts, the newest first."""

    items: list[Alert]
    next: str | None


class Happened(BaseModel):
    """One thing that happened to an alert."""

    at: str
    what: str
    who: str | None
    text: str


class AlertDetail(Alert):
    """An alert with its history."""

    history: list[Happened]


class AlertCounts(BaseModel):
    """How many alerts each tab of the inbox has."""

    open: int
    acknowledged: int
    silenced: int
    resolved: int


class Fleet(BaseModel):
    """The fleet now."""

    at: str
    devices: int
    counts: dict[str, int]
    readings_per_min: int | None
    alerts: AlertCounts
    attention: list[Alert] = Field(description="the worst open alerts, the worst first")


class Rule(BaseModel):
    """A rule of an owner: an alert where a sensor is past a value for so long, over once it is back."""

    id: int
    owner: str
    type: str
    device_id: str | None = Field(description="null: all devices of the type")
    sensor: str
    comparison: Literal["above", "below"]
    value: float
    back: float = Field(description="the alert is over once the sensor is back here")
    for_s: float = Field(description="seconds")
    severity: Literal["info", "warning", "critical"]
    words: str
    created: str
    created_by: str


class Rules(BaseModel):
    """A page of rules, by id."""

    items: list[Rule]
    next: str | None


class NewRule(BaseModel):
    """A rule to be; `owner` names whose it is where you act for several."""

    type: str = Field(description="name of a device type", examples=["pump_station"])
    sensor: str = Field(examples=["discharge_pressure"])
    comparison: Literal["above", "below"] = "above"
    value: float = Field(allow_inf_nan=False, examples=[12.0])
    back: float | None = Field(default=None, allow_inf_nan=False, description="default: the value itself")
    for_s: float = Field(default=0.0, ge=0, le=604_800, allow_inf_nan=False, description="seconds, at most 7 days")
    severity: Literal["info", "warning", "critical"] = "warning"
    device_id: str | None = Field(default=None, description="only this device of the type")
    owner: str | None = None


class SetAsideRow(BaseModel):
    """A row that was not taken: what was sent, and why it was not taken."""

    arrived: str
    device_id: str
    message: str
    raw: str


class SetAside(BaseModel):
    """Rows that were not taken for the same reason, with the newest few."""

    reason: str
    rows: int
    devices: int
    newest: str
    samples: list[SetAsideRow]


class SilentDevice(BaseModel):
    """A device that is silent."""

    device_id: str
    owner: str
    site: str | None
    since: str
    last_reading: str | None


class SilentDevices(BaseModel):
    """How many devices are silent, and the first hundred, those that are silent for longest."""

    count: int
    devices: list[SilentDevice]


class SensorTrouble(BaseModel):
    """A sensor that is missing, stuck or out of range."""

    device_id: str
    owner: str
    site: str | None
    sensor: str
    sentence: str
    since: str


class SensorTroubles(BaseModel):
    """How many sensors are in trouble, and the first hundred."""

    count: int
    sensors: list[SensorTrouble]


class LateDevice(BaseModel):
    """A device whose newest reading came so long after its time."""

    device_id: str
    owner: str
    site: str | None
    late_by_s: float
    last_reading: str


class LateDevices(BaseModel):
    """How many devices send late, and the first hundred, the latest first."""

    count: int
    devices: list[LateDevice]


class Quality(BaseModel):
    """What is wrong with the data: rows not taken since `since`, all else as it is now."""

    at: str
    since: str
    set_aside: list[SetAside]
    silent: SilentDevices
    sensors: SensorTroubles
    late: LateDevices


class Silence(BaseModel):
    """Until when nobody is notified of the alert."""

    until: str = Field(description="RFC 3339, at most 30 days ahead")


class Confirm(BaseModel):
    """What kind of fault it is."""

    kind: str = Field(min_length=1, max_length=200, examples=["bearing_wear"])


class Dismiss(BaseModel):
    """Why it is no fault."""

    reason: Literal["normal_operation", "sensor_problem", "maintenance", "new_normal"]
    note: str = ""


class FaultReport(BaseModel):
    """A device was faulty from `start` to `end`, still is where it is null; `source`: operator, or import of a file."""

    id: int
    device_id: str
    owner: str
    kind: str
    start: str
    end: str | None
    source: str
    said_by: str
    alert_id: int | None
    reported: str


class FaultReports(BaseModel):
    """A page of fault reports, those made last first."""

    items: list[FaultReport]
    next: str | None


class NewFaultReport(BaseModel):
    """A fault of a device: what kind, from when, and until when where it is over."""

    kind: str = Field(min_length=1, max_length=200, examples=["bearing_wear"])
    start: str = Field(alias="from", description="RFC 3339")
    until: str | None = Field(default=None, description="RFC 3339; null: it lasts, and the device is faulty")


class FaultReportFile(BaseModel):
    """Fault reports as CSV: device_id, kind, start, and perhaps end and owner."""

    csv: str = Field(max_length=1_000_000, examples=["device_id,kind,start,end\npump-17,leak,2026-01-31T12:00:00Z,\n"])


class TakenFile(BaseModel):
    """How many reports a file has, how many of them were new, and how many gave a known one another end."""

    reports: int
    new: int
    changed: int


class Maintenance(BaseModel):
    """A window in which nobody is told about the device; it begins now without `from`, and has no end without `until`.

    `end: true` ends the windows that are open instead.
    """

    start: str | None = Field(default=None, alias="from", description="RFC 3339; default now")
    until: str | None = Field(default=None, description="RFC 3339; default open-ended")
    reason: str = ""
    end: bool = False


class ProblemModel(BaseModel):
    """RFC 9457."""

    type: str
    title: str
    status: int
    detail: str


PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"model": ProblemModel, "description": words, "content": {"application/problem+json": {}}}
    for status, words in (
        (400, "can't be read"),
        (401, "sign in, or send a read token"),
        (403, "may not"),
        (404, "there is no such thing"),
        (409, "not as things stand: it is over, or there are several of that name"),
        (413, "the body is too large"),
        (422, "a parameter makes no sense"),
        (429, "too many requests; Retry-After says when to try again"),
        (503, "the storage doesn't answer; try again"),
    )
}
ACT_PROBLEMS = PROBLEMS
