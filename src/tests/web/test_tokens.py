"""Colours of both themes reach the contrast that people need (WCAG 2.1), and pages stay small."""

import gzip
import re
from pathlib import Path

import pytest

from ...web.assets import FOLDER

CSS = (FOLDER / "css" / "tokens.css").read_text(encoding="utf-8")
TEXT = ("text", "text-2", "text-3", "accent", "healthy", "suspect", "faulty", "learning")
SURFACES = ("bg", "surface", "sunken")
ON_SOFT = ("suspect", "faulty", "healthy", "learning")
MARKS = ("faulty-cell", "silent", "learning", "maintenance", "suspect")


def theme(name: str) -> dict[str, str]:
    """The tokens of a theme; the dark one stands on the light one."""
    light, dark = CSS.split("[data-theme=dark]")
    found = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", light))
    return found | (dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", dark)) if name == "dark" else {})


def contrast(one: str, other: str) -> float:
    """Contrast ratio of two colours, WCAG 2.1, 1 to 21."""

    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("name", ["light", "dark"])
def test_text_can_be_read_on_every_surface_it_stands_on(name: str) -> None:
    tokens = theme(name)
    weak = [
        f"{text} on {surface}: {ratio:.2f}"
        for text in TEXT
        for surface in SURFACES
        if (ratio := contrast(tokens[text], tokens[surface])) < 4.5
    ]
    weak += [
        f"{text} on its soft ground: {ratio:.2f}"
        for text in ON_SOFT
        if (ratio := contrast(tokens[text], tokens[f"{text}-soft"])) < 4.5
    ]
    assert not weak, "; ".join(weak)


@pytest.mark.parametrize("name", ["light", "dark"])
def test_marks_can_be_told_from_the_ground(name: str) -> None:
    tokens = theme(name)
    weak = [mark for mark in MARKS if contrast(tokens[mark], tokens["surface"]) < 3]
    assert not weak


def test_the_scripts_of_a_page_stay_below_150_kilobytes() -> None:
    scripts = [path for path in FOLDER.rglob("*.js")]
    assert sum(len(gzip.compress(path.read_bytes())) for path in scripts) < 150_000


def test_every_vendored_folder_carries_its_licence() -> None:
    folders = [path for path in (FOLDER / "vendor").iterdir() if path.is_dir()]
    assert {folder.name for folder in folders} == {"htmx", "uplot", "inter"}
    assert all((folder / "LICENSE").is_file() for folder in folders)
    listed = (FOLDER / "vendor" / "README.md").read_text(encoding="utf-8")
    assert all(f"`{folder.name}/`" in listed for folder in folders)


def test_no_template_has_inline_script_or_style() -> None:
    for path in (Path(FOLDER).parent / "templates").glob("*.html"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:", text), path.name
        assert not re.search(r"<script(?![^>]*(src=|application/json))", text), path.name
