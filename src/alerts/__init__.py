"""The alert engine: when a device's owner should act, and when it is over."""
