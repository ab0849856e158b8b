"""Status: one word by precedence."""

from itertools import product

import numpy as np

from ...alerts.status import Status, codes_of_flags, status


def test_precedence_for_every_combination() -> None:
    cases = np.array(list(product([False, True], repeat=5)))
    codes = status(*cases.T)
    for (maintenance, silent, faulty, suspect, learning), code in zip(cases, codes, strict=True):
        expected = (
            Status.MAINTENANCE
            if maintenance
            else Status.SILENT if silent else Status.FAULTY if faulty else Status.SUSPECT if suspect else None
        )
        assert code == (expected if expected is not None else Status.LEARNING if learning else Status.HEALTHY)


def test_codes_of_flags_are_those_of_status() -> None:
    assert codes_of_flags()[[0, 1, 2, 4, 8, 16, 31]].tolist() == [1, 5, 4, 3, 2, 0, 5]


def test_codes_are_the_published_ones() -> None:
    assert [each.name for each in Status] == ["LEARNING", "HEALTHY", "SUSPECT", "FAULTY", "SILENT", "MAINTENANCE"]
