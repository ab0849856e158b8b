"""The live service: readings in, log, scores, alerts, notifications."""
