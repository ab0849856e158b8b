"""Judges a trained model on what it hasn't seen, beside the champion."""

from .evaluation import Evaluation, EvaluationConfig, read_report, run
from .gate import GateConfig

__all__ = ["Evaluation", "EvaluationConfig", "GateConfig", "read_report", "run"]
