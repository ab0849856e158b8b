"""Pipelines over the components."""
