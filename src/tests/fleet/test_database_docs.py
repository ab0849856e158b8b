"""docs/reference/database.md says what is there: every table and every word for the loop, no other."""

import re
from pathlib import Path

from ...fleet.models import Base

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "database.md"


def rows_of(title: str) -> set[str]:
    """The first column of the table in a section."""
    section = PAGE.read_text(encoding="utf-8").split(f"\n## {title}\n")[1].split("\n## ")[0]
    return set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE))


def test_every_table_is_described() -> None:
    assert rows_of("Tables") == set(Base.metadata.tables)


def test_every_word_is_described() -> None:
    package = Path(__file__).parents[2]
    sources = [*package.glob("fleet/*.py"), *package.glob("components/*/*.py")]
    text = "".join(source.read_text(encoding="utf-8") for source in sources)
    said = set(re.findall(r'(?:\b_say\(|\bcommands\.add\(session, )"(\w+)"', text))
    assert rows_of("Words for the loop") == said
