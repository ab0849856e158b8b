"""Readings on their way: device types, row checks, the log, the lake, checkpoints."""
