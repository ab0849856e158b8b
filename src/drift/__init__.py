"""Drift between what a model learnt from and what devices send now: pooled over a fleet, and device by device."""
