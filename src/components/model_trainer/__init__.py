"""Fits the anomaly detector of a type and hands it to the service."""

from .trainer import TrainerConfig, run

__all__ = ["TrainerConfig", "run"]
