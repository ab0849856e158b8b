"""Says whether a snapshot is fit to learn from: schema, ranges, gaps, labels, drift, and skew against what serves."""

from .validation import ValidationConfig, accept, run

__all__ = ["ValidationConfig", "accept", "run"]
