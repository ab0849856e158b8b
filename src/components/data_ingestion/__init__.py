"""Fixes what a training run reads: a snapshot of the lake, split by device and by time."""

from .ingestion import IngestionConfig, Split, run

__all__ = ["IngestionConfig", "Split", "run"]
