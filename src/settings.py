"""The settings of faultwatch: one name each, as FAULTWATCH_<NAME> and in faultwatch.toml.

What counts, first to last: what the command line says, the environment, the file, the default. The file is
the one that FAULTWATCH_CONFIG names, else `faultwatch.toml` in the current folder, else in the data folder.
"""

import difflib
import ipaddress
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, get_args, get_origin

from pydantic import AfterValidator, ByteSize, Field, PrivateAttr, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from .exceptions import ConfigError

PREFIX = "FAULTWATCH_"
CONFIG_VARIABLE = f"{PREFIX}CONFIG"
FILE_NAME = "faultwatch.toml"
MASK = "********"
MIB = 1 << 20

DEFAULT = "default"
COMMAND_LINE = "command line"


@dataclass(frozen=True)
class Unit:
    """The unit a setting is written in, as people read it."""

    name: str


SECONDS = Unit("s")
MILLISECONDS = Unit("ms")
BYTES = Unit("bytes")
READINGS = Unit("readings")
ROWS = Unit("rows")


def _absolute(path: Path) -> Path:
    try:
        return path.expanduser().absolute()
    except RuntimeError as error:  # `~name` of nobody on this machine
        raise ValueError(str(error)) from error


def _absolute_where_a_folder(url: str) -> str:
    return url if "://" in url else str(_absolute(Path(url)))


def _with_driver(url: str) -> str:
    return re.sub(r"^postgres(ql)?://", "postgresql+psycopg://", url)


def _networks(text: str) -> str:
    """A list of addresses and networks; both raise ValueError where they are none."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    return ", ".join(
        str(ipaddress.ip_network(name, strict=False) if "/" in name else ipaddress.ip_address(name)) for name in names
    )


def reachable(host: str, port: int, tls: bool = False) -> str:
    """Address of this machine's own browser for a service that listens on `host`."""
    name = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
    return f"{'https' if tls else 'http'}://{name}:{port}"


AbsolutePath = Annotated[Path, AfterValidator(_absolute)]


class Settings(BaseSettings):
    """Every setting with its default. Made directly it reads nothing from outside; `load_settings` does."""

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False, hide_input_in_errors=True
    )

    # Where things are.
    data: AbsolutePath = Field(
        default=Path("faultwatch-data"),
        description="Folder of everything faultwatch keeps.",
        json_schema_extra={"default": "./faultwatch-data"},
    )
    database_url: Annotated[str, AfterValidator(_with_driver)] = Field(
        default_factory=lambda values: f"sqlite:///{values['data'] / 'faultwatch.db'}",
        pattern=r"^(sqlite:///|postgres(ql)?(\+psycopg)?://).",
        description="Address of the fleet database.",
        json_schema_extra={
            "default": "sqlite:///DATA/faultwatch.db",
            "expected": "sqlite:///PATH or postgresql://USER:PASSWORD@HOST/NAME",
        },
    )
    lake_url: Annotated[str, AfterValidator(_absolute_where_a_folder)] = Field(
        default_factory=lambda values: str(values["data"] / "lake"),
        min_length=1,
        description="Where readings are kept for good.",
        json_schema_extra={"default": "DATA/lake", "expected": "a folder or s3://BUCKET/PREFIX"},
    )
    lake_storage_options: dict[str, SecretStr] = Field(
        default={},
        description="Options of delta-rs for the lake's storage, shown masked; AWS_* variables are honoured as well.",
    )
    secret_key_file: AbsolutePath = Field(
        default_factory=lambda values: values["data"] / "secret.key",
        description="File of the key that signs cookies and encrypts the secrets of channels; made on first use.",
        json_schema_extra={"default": "DATA/secret.key"},
    )

    # The service.
    role: Literal["all", "loop", "web"] = Field(
        default="all",
        description="What `faultwatch serve` runs: `loop` takes in and judges readings, `web` shows pages, `all` both.",
    )
    host: str = Field(
        default="127.0.0.1",
        pattern=r"^[^\s/\[\]]+$",
        description="Address that the service listens on.",
        json_schema_extra={"expected": "a host name or address such as 0.0.0.0 or ::1"},
    )
    port: int = Field(default=8765, ge=0, le=65535, description="Port that it listens on; 0 takes a free one.")
    tls_cert: AbsolutePath | None = Field(
        default=None,
        description="File of the certificate (PEM, with its chain) to answer by TLS with; needs `tls_key`.",
        json_schema_extra={"expected": "a path"},
    )
    tls_key: AbsolutePath | None = Field(
        default=None,
        description="File of the certificate's key (PEM, unencrypted).",
        json_schema_extra={"expected": "a path"},
    )
    trusted_proxies: Annotated[str, AfterValidator(_networks)] | None = Field(
        default=None,
        description="Proxies whose X-Forwarded-For and X-Forwarded-Proto are believed; nobody else's are.",
        json_schema_extra={"expected": "addresses and networks with commas between, such as 127.0.0.1, 10.0.0.0/8"},
    )
    base_url: str = Field(
        default_factory=lambda values: reachable(values["host"], values["port"], values["tls_cert"] is not None),
        pattern=r"^https?://[^/\s]+(/[^\s]*)?$",
        description="Address at which people reach the dashboard; links in notifications begin with it.",
        json_schema_extra={
            "default": "http://HOST:PORT, or https with tls_cert",
            "expected": "an address such as https://faults.example.com",
        },
    )
    session_hours: Annotated[float, Unit("hours")] = Field(
        default=12.0, gt=0, le=24 * 90, description="How long a signed-in browser stays signed in without being used."
    )
    heartbeat_url: str | None = Field(
        default=None,
        pattern=r"^https?://[^/\s]+(/\S*)?$",
        description="Address that is asked (GET) every minute while the loop takes readings and is less than two"
        " minutes behind, so that a service elsewhere can say when faultwatch is down; shown without its path.",
        json_schema_extra={"expected": "an address such as https://hc.example.com/ping/UUID"},
    )
    api_requests_per_minute: Annotated[int, Unit("requests per sender and minute")] = Field(
        default=3000, ge=1, description="How often one sender may ask the JSON API; above it the answer is 429."
    )
    sign_in_refusals_per_minute: Annotated[int, Unit("refusals per address and minute")] = Field(
        default=20, ge=1, description="How often an address may fail to sign in, for whatever account, before it waits."
    )
    notifications: bool = Field(default=True, description="Whether alerts are sent to channels; they are kept anyway.")
    notify_private_networks: str = Field(
        default="",
        pattern=r"^( *|all|[0-9a-fA-F.:/, ]+)$",
        description="Private networks that notifications may go to; without it they go to public addresses only.",
        json_schema_extra={
            "default": "not set",
            "expected": "networks with commas between, such as 10.1.0.0/16, 127.0.0.1, or all",
        },
    )

    # What is taken in.
    max_body_bytes: Annotated[ByteSize, BYTES] = Field(
        default=ByteSize(64 * MIB), ge=1024, description="Largest body of a request, as it arrives."
    )
    max_decompressed_bytes: Annotated[ByteSize, BYTES] = Field(
        default=ByteSize(512 * MIB), ge=1024, description="Largest body of a request after gzip or zstd."
    )
    max_rows_per_request: Annotated[int, ROWS] = Field(default=1_000_000, ge=1, description="Most rows in one request.")
    max_queue_rows: Annotated[int, ROWS] = Field(
        default=4_000_000, ge=1, description="Rows that may wait to be scored; above it senders get 429 and wait."
    )
    future_limit_s: Annotated[float, SECONDS] = Field(
        default=300.0, ge=0, description="How far ahead of the clock a live reading may be."
    )
    late_limit_s: Annotated[float, SECONDS] = Field(
        default=172_800.0, gt=0, description="How old a live reading may be; older ones are for `faultwatch ingest`."
    )
    tick_grace_s: Annotated[float, SECONDS] = Field(
        default=15.0, ge=0, description="How long after its end a reporting interval is closed."
    )

    # How it is kept.
    group_commit_ms: Annotated[float, MILLISECONDS] = Field(
        default=5.0, ge=0, le=1000, description="How long a request waits for others to share one write to disk."
    )
    log_segment_bytes: Annotated[ByteSize, BYTES] = Field(
        default=ByteSize(64 * MIB), ge=4096, description="Size at which the write-ahead log begins a new file."
    )
    lake_commit_s: Annotated[float, SECONDS] = Field(
        default=60.0, gt=0, description="How often scored readings go to the lake."
    )
    checkpoint_s: Annotated[float, SECONDS] = Field(
        default=300.0, gt=0, le=300, description="How often the state of the detector is written to disk, at most."
    )
    retention_days: Annotated[int | None, Unit("days")] = Field(
        default=None, ge=1, description="How long readings are kept; for ever where it isn't set."
    )

    # How it is judged.
    learn_readings: Annotated[int, READINGS] = Field(
        default=4320, ge=300, description="Readings of all its devices together that a new device type learns from."
    )
    learn_device_readings: Annotated[int, READINGS] = Field(
        default=300, ge=1, description="First readings of a device during which it is `learning`."
    )
    false_alerts_per_device_month: Annotated[float, Unit("alerts per device and month")] = Field(
        default=1.0, gt=0, description="False alerts that thresholds are set to allow."
    )
    max_alerts_a_day: Annotated[float, Unit("alerts per owner and day")] = Field(
        default=3.0, gt=0, description="Cap on the false alerts of an owner's whole fleet, however many devices."
    )

    # How models are kept right.
    monitor_hours: Annotated[float, Unit("hours")] = Field(
        default=6.0,
        ge=0,
        description="How often the service looks at its models, trains again what is due and promotes what was watched;"
        " 0: never. `faultwatch pipeline monitor` does it once.",
    )
    train_every_days: Annotated[float | None, Unit("days")] = Field(
        default=7.0, gt=0, description="After how many days a type's model is trained again, whatever else fires."
    )
    train_cooldown_hours: Annotated[float, Unit("hours")] = Field(
        default=24.0, ge=0, description="Shortest time between two trainings of a type that nobody asked for."
    )
    shadow_hours: Annotated[float, Unit("hours")] = Field(
        default=24.0,
        ge=0,
        description="How long a model that nobody asked for is watched beside the one that serves before it may serve.",
    )

    # In a container of SageMaker, and for it.
    container_root: AbsolutePath = Field(
        default=Path("/opt/ml"), description="Folder that SageMaker lays out in the containers of its jobs."
    )
    database_secret: str | None = Field(
        default=None,
        description="Secret of AWS Secrets Manager with `username` and `password` for the fleet database, by name or"
        " ARN; read by jobs of SageMaker, which `faultwatch cloud step` runs.",
        json_schema_extra={"expected": "a name or an ARN"},
    )

    endpoint_body_bytes: Annotated[ByteSize | None, BYTES] = Field(
        default=None,
        ge=1024,
        description="Largest request that an endpoint's container takes (`faultwatch cloud serve`); where it isn't set,"
        " what SageMaker says of a batch, else 25 MiB, which is what it passes on to an endpoint.",
    )

    # What it says about itself.
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least severe message that is logged."
    )
    log_format: Literal["console", "json"] = Field(
        default="console", description="How messages are logged to stderr: for people, or one JSON object a line."
    )

    _sources: Mapping[str, str] = PrivateAttr(default_factory=dict)
    _file: Path | None = PrivateAttr(default=None)

    @property
    def file(self) -> Path | None:
        """The faultwatch.toml that was read, if there was one."""
        return self._file

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what the constructor is given: `load_settings` collects the rest and knows where it came from."""
        return (init_settings,)

    def storage_options(self) -> dict[str, str]:
        """Storage options for delta-rs, unmasked."""
        return {name: secret.get_secret_value() for name, secret in self.lake_storage_options.items()}

    def __repr_args__(self) -> Iterator[tuple[str | None, object]]:
        """Secrets stay out of logs and tracebacks."""
        return ((line.name, line.value) for line in explain(self))


@dataclass(frozen=True)
class Explained:
    """One setting as people look it up; secrets are masked in `value`."""

    name: str
    value: str | int | float | bool | dict[str, str] | None
    source: str
    default: str
    expected: str
    unit: str
    description: str

    @property
    def variable(self) -> str:
        """The environment variable that sets it."""
        return variable(self.name)


def variable(name: str) -> str:
    """The environment variable of a setting."""
    return f"{PREFIX}{name.upper()}"


def load_settings(**overrides: object) -> Settings:
    """Collect the settings from `overrides` (None: not given), the environment, the file and the defaults.

    Raises ConfigError naming each setting that can't be used, its value, where that came from and what was
    expected.
    """
    given = {name: value for name, value in overrides.items() if value is not None}
    environment = _from_environment()
    file = _find_file(given.get("data", environment.get("data")))
    written = _from_file(file) if file else {}

    sources = dict.fromkeys(written, str(file))
    sources.update({name: f"environment variable {variable(name)}" for name in environment})
    sources.update(dict.fromkeys(given, COMMAND_LINE))
    values = {**written, **environment, **given}
    for name in values:
        _check_name(name, sources[name])
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        raise ConfigError("; ".join(_complaints(error, sources))) from error
    settings._sources = sources
    settings._file = file
    return settings


def explain(settings: Settings) -> list[Explained]:
    """Every setting with its value and where it came from, in the order of the documentation."""
    return [
        Explained(
            name=name,
            value=_shown(name, getattr(settings, name)),
            source=settings._sources.get(name, DEFAULT),
            default=_default_text(field),
            expected=_expected(field),
            unit=next((mark.name for mark in field.metadata if isinstance(mark, Unit)), ""),
            description=field.description or "",
        )
        for name, field in Settings.model_fields.items()
    ]


def unknown_variables(also_known: frozenset[str] = frozenset({CONFIG_VARIABLE})) -> list[str]:
    """A line for each FAULTWATCH_* variable that sets nothing, with the one that was probably meant."""
    known = {variable(name) for name in Settings.model_fields}
    names = sorted(n for n in os.environ if n.startswith(PREFIX) and n not in known | also_known)
    return [f"{name} is not a setting{_did_you_mean(name, known)}" for name in names]


def _from_environment() -> dict[str, object]:
    source = EnvSettingsSource(Settings, env_prefix=PREFIX, env_ignore_empty=True)
    try:
        return dict(source())
    except SettingsError as error:
        found = re.search(r'field "(\w+)"', str(error))
        name = found[1] if found else "?"
        raise ConfigError(
            f"setting {name} (from environment variable {variable(name)}): expected a JSON object of names and texts"
        ) from error


def _find_file(data: object) -> Path | None:
    named = os.environ.get(CONFIG_VARIABLE)
    if named:
        if not Path(named).is_file():
            raise ConfigError(f"{CONFIG_VARIABLE} names {named!r}, which is not a file")
        return _absolute(Path(named))
    folder = Path(str(data)) if data is not None else Path(Settings.model_fields["data"].default)
    return next((_absolute(path) for path in (Path(FILE_NAME), folder / FILE_NAME) if path.is_file()), None)


def _from_file(file: Path) -> dict[str, object]:
    """Read faultwatch.toml; relative paths in it are meant from the folder it is in."""
    try:
        values: dict[str, object] = tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file} is not TOML: {error}") from error
    except OSError as error:
        raise ConfigError(f"{file} can't be read: {error.strerror}") from error
    for name in ("data", "secret_key_file", "lake_url", "tls_cert", "tls_key"):
        value = values.get(name)
        if isinstance(value, str) and value and "://" not in value and not value.startswith("~"):
            values[name] = str(file.parent / value)
    return values


def _check_name(name: str, source: str) -> None:
    if name not in Settings.model_fields:
        raise ConfigError(f"{name!r} (from {source}) is not a setting{_did_you_mean(name, Settings.model_fields)}")


def _did_you_mean(name: str, known: Mapping[str, object] | set[str]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {close[0]}?" if close else "; `faultwatch settings` lists them"


def _complaints(error: ValidationError, sources: Mapping[str, str]) -> Iterator[str]:
    for fault in error.errors(include_url=False):
        if fault["type"] == "default_factory_not_called":
            continue  # follows from a fault of the setting it is derived from
        name = str(fault["loc"][0])
        source = sources.get(name, DEFAULT)
        received = _shown(name, fault["input"])
        hint = ""
        if source.startswith("environment") and str(received).startswith("tcp://"):
            hint = " (Kubernetes sets this for a service named faultwatch; `enableServiceLinks: false` stops it)"
        expected = _expected(Settings.model_fields[name])
        yield f"setting {name}: received {received!r} from {source}{hint}, expected {expected}"


def _shown(name: str, value: object) -> str | int | float | bool | dict[str, str] | None:
    """A value as it may be shown: without secrets."""
    if name == "lake_storage_options":
        return dict.fromkeys(value, MASK) if isinstance(value, dict) else MASK
    if isinstance(value, bool | int | float) or value is None:
        return value
    if name == "heartbeat_url":  # whoever knows its path can ping it, and so hide that faultwatch is down
        return re.sub(r"(?<=://)([^/@]*@)?([^/]*)/?.*", rf"\2/{MASK}", str(value)) if "://" in str(value) else MASK
    if name == "database_url":
        return re.sub(r"(?<=://)([^:/@]*):[^/]*@", rf"\1:{MASK}@", str(value))
    return str(value)


def _default_text(field: FieldInfo) -> str:
    extra = field.json_schema_extra
    if isinstance(extra, dict) and "default" in extra:
        return str(extra["default"])
    if field.default is None or field.default == {}:
        return "not set"
    return str(field.default).lower() if isinstance(field.default, bool) else str(field.default)


def _expected(field: FieldInfo) -> str:
    """What a setting takes, in words: its kind and its bounds."""
    extra = field.json_schema_extra
    if isinstance(extra, dict) and "expected" in extra:
        return str(extra["expected"])
    kinds: dict[object, str] = {
        bool: "true or false",
        int: "a whole number",
        float: "a number",
        ByteSize: "a size such as 65536 or 64 MiB",
        Path: "a path",
        str: "a text",
        dict: "a table of names and texts (in the environment a JSON object)",
    }
    kind, arguments = get_origin(field.annotation) or field.annotation, get_args(field.annotation)
    if kind is Literal:
        return f"one of {', '.join(arguments)}"
    if kind not in kinds:  # a union with None
        kind = arguments[0]
    return f"{kinds[kind]}{_bounds(field)}"


def _bounds(field: FieldInfo) -> str:
    words = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}
    bounds = [
        f"{words[name]} {getattr(mark, name):g}" for mark in field.metadata for name in words if hasattr(mark, name)
    ]
    return f", {' and '.join(bounds)}" if bounds else ""
