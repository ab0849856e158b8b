"""The table of readings that a page shows, by skrub where it is installed: rows, statistics and charts by column."""

import re

import polars as pl

from ..html import paragraph

HOW_TO = "pip install 'faultwatch[eda]'"
LENGTH = 5_000


def readings_table(rows: pl.DataFrame) -> str:
    """At most `LENGTH` of the rows, at even distances, as a table to sort and filter; a sentence where skrub lacks."""
    try:
        from matplotlib import rc_context
        from pandas import DataFrame
        from skrub import TableReport
    except ImportError:
        return paragraph(f"A table of readings, to filter and to look at column by column, needs skrub: {HOW_TO}.")
    some = rows.gather_every(max(1, -(-len(rows) // LENGTH)))
    # Polars counts equally frequent values in any order, pandas always in the same.
    ordered = DataFrame({column.name: column.to_numpy() for column in some})
    report = TableReport(ordered, n_rows=20, verbose=0, plot_distributions=True, compute_associations=False)
    with rc_context({"svg.hashsalt": "readings"}):
        return _settled(str(report.html_snippet()))


def _settled(snippet: str) -> str:
    """The same rows give the same page: random names of elements are numbered in their order, dates of charts go."""
    names = dict.fromkeys(re.findall(r'id="(?:report_)?([0-9a-f]{8})', snippet))
    for number, name in enumerate(names):
        snippet = snippet.replace(name, f"n{number}")
    return re.sub(r"<dc:date>[^<]*</dc:date>", "", snippet)
