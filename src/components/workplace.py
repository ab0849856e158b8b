"""Where components work: the database, the lake and the folders of one data folder."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
from sqlalchemy import Engine, select

from ..exceptions import ConfigError, DataValidationError
from ..faults.reports import Reported, without_overlaps
from ..fleet import audit, database, device_types, kind_versions, model_versions, models
from ..fleet.database import reading
from ..fleet.kind_versions import KindVersion
from ..fleet.model_versions import ModelVersion
from ..settings import Settings
from ..telemetry.lake import Lake
from ..telemetry.schema import DeviceType

Progress = Callable[[float], None]
"""Is told what part of a component's work is done, 0 to 1."""


EVERY_TYPE = 0
"""In place of a type's id, for what is of devices of all types: the model of kinds of fault."""

FAULT_KINDS = "fault-kinds"
"""In place of a type's name, likewise; no type can be called so."""


class Label(msgspec.Struct, frozen=True, array_like=True):
    """What fault reports say: this device was faulty from then to then (ms); `end_ms` is None while it lasts."""

    device_key: int
    start_ms: int
    end_ms: int | None
    kind: str


class Placed(msgspec.Struct, frozen=True, array_like=True):
    """A device with its owner and site."""

    device_key: int
    owner: str
    site: str | None

    @property
    def full_site(self) -> str | None:
        """The site's name with its owner's, since two owners may both have a roof; None without a site."""
        return None if self.site is None else f"{self.site} of {self.owner}"


def site_numbers(devices: Sequence[Placed]) -> dict[int, int]:
    """A number from 0 for the site of each device that has one, by device key: devices of one site are peers."""
    sites = {placed.device_key: placed.full_site for placed in devices if placed.full_site is not None}
    numbers = {name: number for number, name in enumerate(sorted(set(sites.values())))}
    return {key: numbers[name] for key, name in sites.items()}


def _folder(type_id: int) -> str:
    return FAULT_KINDS if type_id == EVERY_TYPE else f"type-{type_id}"


def _unseen(_done: float) -> None:
    """Progress that nobody watches."""


@dataclass(frozen=True)
class Workplace:
    """What a component may read and write. `progress` is told how far it is; `run` is the pipeline's run that it works
    for, if one, and `who` had it done."""

    data: Path
    engine: Engine
    lake: Lake
    progress: Progress = _unseen
    run: str | None = None
    who: str = audit.COMMAND_LINE

    @classmethod
    def open(cls, settings: Settings) -> "Workplace":
        """Open what `settings` name. Raises ConfigError where the data folder doesn't exist."""
        if not settings.data.is_dir():
            raise ConfigError(
                f"no data folder {settings.data}; name yours with --data, or take in readings first"
                " (faultwatch serve, faultwatch ingest)"
            )
        engine = database.connect(settings.database_url)
        database.migrate(engine)
        options = {name: secret.get_secret_value() for name, secret in settings.lake_storage_options.items()}
        return cls(settings.data, engine, Lake(settings.lake_url, options))

    def close(self) -> None:
        """Let go of the database."""
        self.engine.dispose()

    def artifacts(self, component: str, type_id: int) -> Path:
        """The folder below which a component keeps what it makes of a type; models are where the service finds them."""
        if component in ("model_trainer", "fault_trainer"):
            return self.models(type_id)
        return self.data / "artifacts" / component / _folder(type_id)

    def models(self, type_id: int) -> Path:
        """The folder below which the models of a type are."""
        return self.data / "models" / _folder(type_id)

    def types(self, name: str | None = None) -> list[tuple[int, str]]:
        """Id and name of the types that have readings in the lake, or of the one named.

        Raises ConfigError for a type that doesn't exist, DataValidationError where there is nothing to learn from.
        """
        with reading(self.engine) as session:
            known = [(entry.type_id, entry.device_type.name) for entry in device_types.newest(session)]
        meant = [entry for entry in known if name in (None, entry[1])]
        if name is not None and not meant:
            names = ", ".join(sorted(type_name for _, type_name in known)) or "none yet"
            raise ConfigError(f"no device type {name!r}; there are: {names}")
        found = [entry for entry in meant if self.lake.table(entry[0]).state() is not None]
        if not found:
            of = f"of type {name!r} " if name else ""
            raise DataValidationError(
                f"the lake {self.lake.url} holds no readings {of}yet; send some (faultwatch serve) or read files in"
                " (faultwatch ingest), then train"
            )
        return found

    def type_ids(self) -> list[int]:
        """The ids of all types, whether or not they have readings."""
        with reading(self.engine) as session:
            return sorted(entry.type_id for entry in device_types.newest(session))

    def device_type(self, type_id: int) -> DeviceType:
        """The newest version of a type."""
        with reading(self.engine) as session:
            return next(entry.device_type for entry in device_types.newest(session) if entry.type_id == type_id)

    def champion(self, type_id: int) -> ModelVersion | None:
        """The version that serves a type, if one does."""
        with reading(self.engine) as session:
            return model_versions.champion(session, type_id)

    def name_of(self, type_id: int) -> str:
        """What a type is called, or `FAULT_KINDS` for what is of all types."""
        return FAULT_KINDS if type_id == EVERY_TYPE else self.device_type(type_id).name

    def serving(self, type_id: int) -> int | None:
        """The number of the version that serves a type, or, for what is of all types, that names kinds of fault."""
        if type_id == EVERY_TYPE:
            named_by = self.kind_champion()
            return None if named_by is None else named_by.version
        champion = self.champion(type_id)
        return None if champion is None else champion.version

    def kind_champion(self) -> KindVersion | None:
        """The version that names kinds of fault, if one does."""
        with reading(self.engine) as session:
            return kind_versions.champion(session)

    def versions(self, type_id: int) -> list[ModelVersion]:
        """Every version of a type's model, the newest first."""
        with reading(self.engine) as session:
            return model_versions.versions(session, type_id)

    def lake_seqs(self) -> dict[int, int]:
        """The last record of each shard that is in the lake."""
        with reading(self.engine) as session:
            rows = session.execute(select(models.Watermark.shard, models.Watermark.lake_seq)).all()
        return {shard: seq for shard, seq in rows}

    def labels(self, device_keys: list[int]) -> list[Label]:
        """What the fault reports on these devices come to, by device and start; no two of a device at one time."""
        wanted = set(device_keys)
        report = models.FaultReport
        columns = (report.device_key, report.start_ms, report.end_ms, report.kind, report.created_ms)
        with reading(self.engine) as session:
            rows = session.execute(select(*columns).order_by(report.id)).all()
        settled = without_overlaps(Reported(*row) for row in rows if row[0] in wanted)
        return [Label(label.device_key, label.start_ms, label.end_ms, label.kind) for label in settled]

    def placed(self, type_id: int) -> list[Placed]:
        """The devices of a type with their owners and sites, by device key."""
        query = (
            select(models.Device.id, models.Owner.name, models.Site.name)
            .join(models.Owner, models.Owner.id == models.Device.owner_id)
            .outerjoin(models.Site, models.Site.id == models.Device.site_id)
            .where(models.Device.type_id == type_id)
            .order_by(models.Device.id)
        )
        with reading(self.engine) as session:
            return [Placed(key, owner, site) for key, owner, site in session.execute(query)]

    def device_ids(self, type_id: int) -> dict[int, str]:
        """What the devices of a type are called, by device key."""
        query = select(models.Device.id, models.Device.device_id).where(models.Device.type_id == type_id)
        with reading(self.engine) as session:
            return {key: name for key, name in session.execute(query)}
