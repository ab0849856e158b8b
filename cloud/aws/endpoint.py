"""What SageMaker asks of a container that serves a model: GET /ping and POST /invocations, over HTTP on port 8080.

A request holds rows of some devices, each device's history first: its level settles as it does live, and every row gets
a score. Nothing is kept from one request to the next, so that any machine may answer; nor does a request say which
devices are of one site, so none has peers.
"""

import asyncio
import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import polars as pl
import structlog

from ...components.replaying import DeviceRows
from ...detection.detector import Detector
from ...exceptions import ConfigError, FaultwatchError, IngestError
from ...pipelines.prediction import score_rows
from ...telemetry.timestamps import parse_timestamps

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

log = structlog.get_logger(__name__)

PORT = 8080
PORT_VARIABLE = "SAGEMAKER_BIND_TO_PORT"
MOST_BYTES = 25 << 20
"""The largest request that SageMaker passes on to an endpoint, 25 MB, and a little."""

MOST_VARIABLE = "SAGEMAKER_MAX_PAYLOAD_IN_MB"
"""What SageMaker tells the container of a batch transform that its requests have at most."""

DROP_S = 10.0
CSV, JSON = "text/csv", "application/json"
ANSWERED = ("score", "threshold", "odd", "learning", "blamed")
BEFORE_ALL = -(1 << 62)


class Rows(msgspec.Struct, frozen=True):
    """A request in JSON: columns of equal length; a value that is missing is null."""

    device_id: list[str]
    timestamp: list[str | float]
    values: dict[str, list[float | None]]


class NotSupported(IngestError):
    """A content type that isn't spoken here."""

    status = 415


class TooLarge(IngestError):
    """A body of more bytes than are taken."""

    status = 413


class Gone(IngestError):
    """The sender left before its request was whole."""


class Endpoint:
    """Scores requests with one model. Raises ConfigError where there is none in the folder."""

    def __init__(self, model: Path) -> None:
        if not model.is_dir() or not any(model.iterdir()):
            raise ConfigError(
                f"no model in {model}; SageMaker unpacks the one that the endpoint's model names to there"
            )
        self.detector = Detector.load(model)

    def score(self, body: bytes, content_type: str) -> pl.DataFrame:
        """The score of each row of a request, in the request's order: columns of `ANSWERED`.

        `threshold` is the score past which a row is odd; a row that isn't newer than its device's one before it has no
        score. Raises IngestError on a body that can't be read.
        """
        frame = _read(body, content_type, self.detector.sensor_names_).with_row_index("place")
        if frame.is_empty():
            return pl.DataFrame(schema=dict.fromkeys(ANSWERED, pl.Float64))
        ordered = frame.sort("device_key", "timestamp", "place")
        found = score_rows(self.detector, DeviceRows.of(ordered, self.detector.sensor_names_, {}), BEFORE_ALL)
        answered = found.select(
            pl.col("score").fill_nan(None),
            pl.col("enter").alias("threshold"),
            pl.col("odd").cast(pl.Int8),
            pl.col("learning").cast(pl.Int8),
            pl.when(pl.col("score").is_nan()).then(None).otherwise(pl.col("blamed")).alias("blamed"),
        )
        return answered.with_columns(place=ordered["place"]).sort("place").drop("place")


def who_and_when(body: bytes, content_type: str) -> tuple[list[str], list[str | float]]:
    """Device and timestamp of each row of a request, whatever its sensors. Raises IngestError on other bodies."""
    devices, times, _ = _columns(body, content_type, None)
    return devices, times


def _columns(body: bytes, content_type: str, sensors: tuple[str, ...] | None) -> "Columns":
    """Devices, timestamps and values of a request; of any sensors where `sensors` is None."""
    readers = {CSV: _from_csv, JSON: _from_json}
    kind = content_type.partition(";")[0].strip().lower()
    if kind not in readers:
        raise NotSupported(f"content type {content_type!r}; expected {' or '.join(readers)}")
    devices, times, values = readers[kind](body, sensors)
    if len(times) != len(devices):
        raise IngestError(f"{len(devices)} devices and {len(times)} timestamps; expected columns of equal length")
    return devices, times, values


def _read(body: bytes, content_type: str, sensors: tuple[str, ...]) -> pl.DataFrame:
    """device_key, timestamp (UTC) and sensors of a request, in its order. Raises IngestError where it can't be read."""
    devices, times, values = _columns(body, content_type, sensors)
    ts, good = parse_timestamps(times)
    if not good.all():
        wrong = times[int(np.argmin(good))]
        raise IngestError(
            f"timestamp {wrong!r}; expected RFC 3339 with a zone, such as 2026-01-31T12:00:00Z, or seconds"
        )
    _, keys = np.unique(np.array(devices, dtype=object).astype(str), return_inverse=True)
    stamps = pl.Series(ts).cast(pl.Datetime("ms", "UTC"))
    return pl.DataFrame({"device_key": keys.astype(np.int64), "timestamp": stamps, **values})


Columns = tuple[list[str], list[str | float], dict[str, pl.Series]]


def _from_json(body: bytes, sensors: tuple[str, ...] | None) -> Columns:
    try:
        rows = msgspec.json.decode(body, type=Rows)
    except msgspec.MsgspecError as error:
        raise IngestError(f"the body is not what is expected: {error}; see docs/how-to/deploy-aws.md") from error
    _known(rows.values, sensors)
    uneven = [name for name, column in rows.values.items() if len(column) != len(rows.device_id)]
    if uneven:
        raise IngestError(f"values of {', '.join(uneven)}: expected {len(rows.device_id)}, one for each device_id")
    return (
        rows.device_id,
        rows.timestamp,
        {name: pl.Series(name, column, pl.Float64) for name, column in rows.values.items()},
    )


def _from_csv(body: bytes, sensors: tuple[str, ...] | None) -> Columns:
    try:
        frame = pl.read_csv(io.BytesIO(body), infer_schema=False)
    except pl.exceptions.NoDataError:
        return [], [], {}
    except pl.exceptions.PolarsError as error:
        raise IngestError(f"the body is no CSV: {error}") from error
    missing = [name for name in ("device_id", "timestamp") if name not in frame.columns]
    if missing:
        raise IngestError(f"the CSV's first line lacks {', '.join(missing)}; it has {', '.join(frame.columns)}")
    read = frame.drop("device_id", "timestamp")
    _known(dict.fromkeys(read.columns), sensors)
    try:
        values = read.with_columns(pl.all().replace("", None).cast(pl.Float64))
    except pl.exceptions.PolarsError as error:
        raise IngestError(f"a value is no number: {str(error).partition(chr(10))[0]}") from error
    if frame["device_id"].null_count() or frame["timestamp"].null_count():
        raise IngestError("a row lacks its device_id or its timestamp")
    return frame["device_id"].to_list(), frame["timestamp"].to_list(), values.to_dict()


def _known(names: Mapping[str, object], sensors: tuple[str, ...] | None) -> None:
    if sensors is None:
        return
    unknown = sorted(set(names) - set(sensors))
    if unknown or not names:
        raise IngestError(f"sensors {', '.join(unknown) or 'none'}; the model knows {', '.join(sensors)}")


def _written(answer: pl.DataFrame, accept: str, asked_in: str) -> tuple[str, bytes]:
    """An answer as JSON in columns, or as CSV without a head, line by line as the request's rows.

    As `accept` says; where it names neither, as the request came.
    """
    wanted = [part.partition(";")[0].strip().lower() for part in (*accept.split(","), asked_in)]
    if next(kind for kind in wanted if kind in (CSV, JSON)) == JSON:
        return JSON, msgspec.json.encode(answer.to_dict(as_series=False))
    return CSV, answer.write_csv(include_header=False, float_precision=6).encode()


def app_of(endpoint: Endpoint, most_bytes: int = MOST_BYTES) -> "ASGIApp":
    """The two paths as an application; errors are JSON with what was received and expected.

    A body of more than `most_bytes` is refused, and never held.
    """

    async def app(scope: "Scope", receive: "Receive", send: "Send") -> None:
        if scope["type"] != "http":
            return
        asked = (scope["method"], scope["path"])
        if asked == ("GET", "/ping"):
            return await _send(send, 200, JSON, b"{}")
        if asked != ("POST", "/invocations"):
            return await _send(send, 404, JSON, _problem(f"{asked[0]} {asked[1]}; expected POST /invocations"))
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        content_type, body = headers.get("content-type", ""), b""
        try:
            body = await _body(receive, headers.get("content-length", ""), most_bytes)
            answer = await asyncio.to_thread(endpoint.score, body, content_type)
        except Gone:
            return
        except FaultwatchError as error:
            return await _send(send, error.status, JSON, _problem(str(error)))
        except Exception:
            log.exception("endpoint.failed", bytes=len(body))
            return await _send(send, 500, JSON, _problem("the endpoint failed; its log says at what"))
        log.info("endpoint.scored", rows=len(answer))
        return await _send(send, 200, *_written(answer, headers.get("accept", ""), content_type))

    return app


def _problem(detail: str) -> bytes:
    return msgspec.json.encode({"detail": detail})


async def _body(receive: "Receive", declared: str, most_bytes: int) -> bytes:
    """A body as a whole. Raises TooLarge where it says that it is, or turns out to be; Gone where it breaks off.

    What is left of one that is too large is dropped as it comes: a sender that is still at it wouldn't read the answer.
    """
    parts, size, more = [], 0, True
    if not (declared.isdecimal() and int(declared) > most_bytes):
        while more and size <= most_bytes:
            part, more = await _part(receive)
            size += len(part)
            parts.append(part)
        if size <= most_bytes:
            return b"".join(parts)
    parts.clear()
    try:
        async with asyncio.timeout(DROP_S):
            while more:
                _, more = await _part(receive)
    except TimeoutError:
        log.warning("endpoint.sender_goes_on", bytes=size)
    length = f"{int(declared):,} bytes" if declared.isdecimal() else "more bytes"
    raise TooLarge(
        f"the body has {length}; at most {most_bytes:,} are taken: send fewer rows in a request, or have"
        " files scored by `faultwatch cloud batch`"
    )


async def _part(receive: "Receive") -> tuple[bytes, bool]:
    """The next part of a body, and whether there are more."""
    message = await receive()
    if message["type"] == "http.disconnect":
        raise Gone("the sender left")
    return message.get("body", b""), bool(message.get("more_body"))


async def _send(send: "Send", status: int, kind: str, body: bytes) -> None:
    headers = [(b"content-type", kind.encode()), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def port_of(asked: int | None) -> int:
    """The port to listen on: the one asked for, the one that SageMaker names, or 8080.

    Raises ConfigError where SageMaker's is no number.
    """
    named = os.environ.get(PORT_VARIABLE, "")
    if asked is not None or not named:
        return PORT if asked is None else asked
    if not named.isdigit():
        raise ConfigError(f"{PORT_VARIABLE} is {named!r}; expected a port")
    return int(named)


def most_bytes_of(asked: int | None) -> int:
    """The largest body that is taken: as asked for, as SageMaker says of a batch, or the 25 MB that it passes on.

    Raises ConfigError where what SageMaker says is no size.
    """
    named = os.environ.get(MOST_VARIABLE, "")
    if asked is not None or not named:
        return MOST_BYTES if asked is None else asked
    if not named.isdecimal() or not int(named):
        raise ConfigError(f"{MOST_VARIABLE} is {named!r}; expected a number of megabytes")
    return int(named) << 20


def serve_model(model: Path, host: str, port: int, most_bytes: int) -> None:
    """Answer until SIGTERM. Raises ConfigError where there is no model."""
    import uvicorn

    app = app_of(Endpoint(model), most_bytes)
    log.info("endpoint.starting", host=host, port=port, model=str(model))
    config = uvicorn.Config(
        app, host=host, port=port, lifespan="off", log_config=None, access_log=False, server_header=False
    )
    uvicorn.Server(config).run()
