"""Registers a model, has it watched or served, and rolls back."""

from .pusher import Pushed, PusherConfig, pin_name, run, serve

__all__ = ["Pushed", "PusherConfig", "pin_name", "run", "serve"]
