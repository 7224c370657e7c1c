"""SQL in files of its own, each statement under its name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files


@cache
def named_statements(package: str, file: str) -> Mapping[str, str]:
    """The statements of a file, by the name in the line `-- name: ...` before each."""
    text = files(package).joinpath(file).read_text("utf-8")
    parts = re.split(r"^-- name: (\w+)\n", text, flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))
