"""Fits the anomaly detector of a type."""

from .trainer import TrainerConfig, run

__all__ = ["TrainerConfig", "run"]
