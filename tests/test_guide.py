"""The guide is true of the tree: its files exist, and its rooms are those of the house."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path

import pytest

from .test_layers import HOUSE, PACKAGE, ROOT

PAGES = {page.name: page.read_text("utf-8") for page in files(PACKAGE).joinpath("guide").iterdir()}
#: A path in a code span, or a name that ends as files do.
FILE = re.compile(r"`((?:[\w.-]+/)+[\w.-]*|[\w-]+\.(?:py|toml|md|sql))`")


@pytest.mark.parametrize("page", PAGES)
def test_every_file_that_a_page_names_exists(page: str) -> None:
    """Below the package, or from the top for tests and the gate."""
    named = set(FILE.findall(PAGES[page]))
    assert not [name for name in named if not ((ROOT / name).exists() or at_top(name).exists())]


def at_top(name: str) -> Path:
    """The same beside the package."""
    return ROOT.parent / name


def test_every_room_has_its_line() -> None:
    """Each file and folder of the package, once."""
    rooms = re.findall(
        r"^\| `([\w/.]+)` \| .+ \|$", HOUSE.split("## The import rule")[0], re.MULTILINE
    )
    there = {
        f"{path.name}/" if path.is_dir() else path.name
        for path in ROOT.iterdir()
        if path.name not in ("__pycache__", "py.typed")
    }
    assert sorted(rooms) == sorted(there)
