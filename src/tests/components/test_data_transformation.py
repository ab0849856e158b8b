"""data_transformation: training rows in order, without reported faults."""

from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import insert, update

from ...components import data_ingestion, data_transformation
from ...components.artifact import Artifact
from ...components.data_ingestion import IngestionConfig
from ...components.data_transformation import TransformationConfig, load_rows
from ...exceptions import DataValidationError
from ...fleet import models
from ...fleet.database import writing
from ..detection import fleet
from . import lakeside


def test_rows_say_which_devices_are_peers(tmp_path: Path) -> None:
    place, type_id = lakeside.with_readings(tmp_path / "data", 5, 300)
    with writing(place.engine) as session:
        session.execute(insert(models.Owner).values(id=2, name="bolt", created_ms=1))
        for site_id, owner_id, name in ((11, 1, "Roof"), (12, 1, "Yard"), (13, 2, "Roof")):
            session.execute(insert(models.Site).values(id=site_id, owner_id=owner_id, slug=name.lower(), name=name))
        at = {1: (1, 11), 2: (1, 12), 3: (2, 13), 4: (1, 11)}
        for key, (owner_id, site_id) in at.items():
            here = update(models.Device).where(models.Device.id == key)
            session.execute(here.values(owner_id=owner_id, site_id=site_id))
    ingested = data_ingestion.run(IngestionConfig(unseen_time=0.0), {}, place, type_id, lakeside.NOW)
    artifact = data_transformation.run(
        TransformationConfig(), {"data_ingestion": ingested}, place, type_id, lakeside.NOW
    )
    rows = load_rows(artifact)
    assert rows.site is not None
    sites = {int(device): int(rows.site[rows.device == device][0]) for device in np.unique(rows.device)}
    assert sites[1] == sites[4] >= 0 and sites[5] == -1, "one has no site"
    assert len({sites[1], sites[2], sites[3]}) == 3, "two owners may both have a roof"
    place.close()


def test_rows_come_in_order_and_without_faults(tmp_path: Path) -> None:
    place, type_id = lakeside.with_readings(tmp_path / "data", 6, 300)
    ingestion = IngestionConfig(unseen_time=0.0)

    def snapshot() -> dict[str, Artifact]:
        return {"data_ingestion": data_ingestion.run(ingestion, {}, place, type_id, lakeside.NOW)}

    config = TransformationConfig(margin_hours=0.5)
    whole = load_rows(data_transformation.run(config, snapshot(), place, type_id, lakeside.NOW))
    assert len(whole) == 6 * 300
    assert (np.lexsort((whole.ts, whole.device)) == np.arange(len(whole))).all()
    assert list(whole.sensor_names) == list(fleet.NAMES) and whole.interval_ms == 60_000
    assert np.isnan(whole.values).any()
    report = {"kind": "leak", "source": "operator", "said_by": "ann", "created_ms": 1}
    with writing(place.engine) as session:
        start = fleet.START + 100 * fleet.MINUTE
        ends = {2: start + 50 * fleet.MINUTE, 3: None}
        for key, end in ends.items():
            session.execute(insert(models.FaultReport).values(device_key=key, start_ms=start, end_ms=end, **report))
    left = load_rows(data_transformation.run(config, snapshot(), place, type_id, lakeside.NOW))
    counts = dict(zip(*np.unique(left.device, return_counts=True), strict=True))
    assert counts == {1: 300, 2: 300 - 81, 3: 70, 4: 300, 5: 300, 6: 300}
    with writing(place.engine) as session:
        for key in range(1, 7):
            values = {"device_key": key, "start_ms": fleet.START, "end_ms": None}
            session.execute(insert(models.FaultReport).values(**values, **report))
    with pytest.raises(DataValidationError, match="all of them within reported faults"):
        data_transformation.run(config, snapshot(), place, type_id, lakeside.NOW)
    place.close()


def test_devices_that_teach_and_said_nothing_before_the_time_kept_unseen(tmp_path: Path) -> None:
    place, type_id = lakeside.with_readings(tmp_path / "data", 3, 50)
    config = IngestionConfig(split_days=0.0, unseen_time=1.0)
    ingested = data_ingestion.run(config, {}, place, type_id, lakeside.NOW)
    with pytest.raises(DataValidationError, match="none of the 150 readings .* the 3 devices that teach said nothing"):
        data_transformation.run(TransformationConfig(), {"data_ingestion": ingested}, place, type_id, lakeside.NOW)
    place.close()
