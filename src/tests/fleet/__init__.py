"""Tests of the fleet database."""
