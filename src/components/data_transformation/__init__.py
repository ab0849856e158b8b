"""Makes of a snapshot what the detector learns from: clean rows, ordered by device and time."""

from .transformation import Transform, TransformationConfig, load_rows, run

__all__ = ["Transform", "TransformationConfig", "load_rows", "run"]
