"""The snapshot that is looked at: the newest, or one that is taken for it."""

from ...exceptions import ModelError
from .. import data_ingestion
from ..artifact import Artifact, newest
from ..workplace import Workplace


def newest_snapshot(place: Workplace, type_id: int, now_ms: int) -> Artifact:
    """The newest snapshot of a type. Raises DataValidationError where there are no readings to take one of."""
    try:
        return newest(place.artifacts("data_ingestion", type_id))
    except ModelError:
        return data_ingestion.run(data_ingestion.IngestionConfig(), {}, place, type_id, now_ms)
