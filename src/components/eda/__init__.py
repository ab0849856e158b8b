"""Exploratory data analysis: what the readings of a snapshot are like, as one page that needs no other file."""

from .eda import EdaConfig, read_findings, run

__all__ = ["EdaConfig", "read_findings", "run"]
