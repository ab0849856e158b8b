"""The tests mirror the package: `src/tests/<folder>/test_<module>.py`."""
