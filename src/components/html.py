"""Reports as one HTML file: no outside address, readable on a phone, light and dark."""

from collections.abc import Sequence
from html import escape

STYLE = """
:root { color-scheme: light dark; --line: #8884; --good: #1a7f37; --bad: #c62828; --warn: #9a6700; }
@media (prefers-color-scheme: dark) { :root { --good: #4ac26b; --bad: #ff7b72; --warn: #d4a72c; } }
body { font: 15px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 72rem; padding: 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
.wide { overflow-x: auto; } table { border-collapse: collapse; }
th, td { border-bottom: 1px solid var(--line); padding: .3rem .7rem; text-align: left; vertical-align: top; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
.passed { color: var(--good); } .failed { color: var(--bad); font-weight: 600; } .warned { color: var(--warn); }
svg { max-width: 100%; height: auto; } svg text { fill: currentColor; font: 11px system-ui, sans-serif; }
figure { display: inline-block; margin: .4rem 1rem .4rem 0; max-width: 100%; } figcaption { font-size: .85rem; }
"""

Cell = str | float | int | bool | None


def page(title: str, body: str) -> str:
    """A whole document; `title` is escaped, `body` is taken as it is."""
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{STYLE}</style></head><body><h1>{escape(title)}</h1>\n{body}</body></html>\n"
    )


def section(title: str, body: str) -> str:
    """A heading and what is below it."""
    return f"<h2>{escape(title)}</h2>\n{body}\n"


def paragraph(text: str) -> str:
    """A paragraph of plain text."""
    return f"<p>{escape(text)}</p>\n"


def table(columns: Sequence[str], rows: Sequence[Sequence[Cell]], verdict: int | None = None) -> str:
    """A table that scrolls sideways where it is too wide; the column `verdict` holds passed, warned or failed."""
    numeric = [bool(rows) and all(_is_number(row[at]) for row in rows) for at in range(len(columns))]
    head = "".join(f"<th{_class(numeric[at])}>{escape(name)}</th>" for at, name in enumerate(columns))
    lines = []
    for row in rows:
        cells = [
            (
                f'<td class="{escape(str(cell))}">{escape(str(cell))}</td>'
                if at == verdict
                else f"<td{_class(numeric[at])}>{escape(shown(cell))}</td>"
            )
            for at, cell in enumerate(row)
        ]
        lines.append(f"<tr>{''.join(cells)}</tr>")
    return f'<div class="wide"><table><tr>{head}</tr>\n{"".join(lines)}</table></div>\n'


def markdown(text: str, top: int = 1) -> str:
    """Headings, tables and paragraphs of Markdown as HTML, all else escaped; `top`, the level of its first heading."""
    return "\n".join(_block(block, top) for block in text.strip().split("\n\n"))


def _block(block: str, top: int) -> str:
    lines = block.strip().splitlines()
    if lines[0].startswith("#"):
        level = len(lines[0]) - len(lines[0].lstrip("#")) + top - 1
        first = f"<h{level}>{escape(lines[0].lstrip('# '))}</h{level}>"
        return first + (_block("\n".join(lines[1:]), top) if len(lines) > 1 else "")
    if lines[0].startswith("|"):
        rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
        body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows[2:])
        head = "".join(f"<th>{escape(cell)}</th>" for cell in rows[0])
        return f"<table><tr>{head}</tr>{body}</table>"
    return f"<p>{escape(' '.join(lines)).replace('`', '')}</p>"


def shown(cell: Cell) -> str:
    """A value as a person reads it."""
    if cell is None:
        return "-"
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, int):
        return f"{cell:,}"
    if isinstance(cell, float):
        return f"{cell:,.4g}" if abs(cell) < 1e5 else f"{cell:,.0f}"
    return cell


def _is_number(cell: Cell) -> bool:
    return cell is None or (isinstance(cell, int | float) and not isinstance(cell, bool))


def _class(numeric: bool) -> str:
    return ' class="number"' if numeric else ""
