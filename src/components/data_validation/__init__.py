"""Says whether a snapshot is fit to learn from: schema, ranges, gaps, labels, drift, and skew against what the champion
learnt from."""

from .validation import ValidationConfig, read_report, run

__all__ = ["ValidationConfig", "read_report", "run"]
