"""Fixes what a training run reads: a snapshot of the lake, split by device and by time."""

from .ingestion import Ingested, IngestionConfig, Split, read_ingested, run

__all__ = ["Ingested", "IngestionConfig", "Split", "read_ingested", "run"]
