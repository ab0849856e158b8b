"""Benchmarks as a user runs them: `faultwatch benchmark …`, each with its figures as JSON."""
