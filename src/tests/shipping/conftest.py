"""A service that the tests of a module share."""

from ..operations.conftest import running

__all__ = ["running"]
