"""The files that a command reads. Every fault in one is an `InvalidInput` that names it."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from io import FileIO
from typing import Any, BinaryIO

from ..errors import InvalidInput
from ..sources.files import STDIN, name_of
from ..storage.system import refused

# Bytes. A message has at most 20,000 characters, and a context is no larger.
MOST = 4 << 20


def read_bytes(path: str) -> bytes:
    """The content of a file, or of standard input for `-`. No more than `MOST` is ever read."""
    try:
        with _opened(path) as file:
            content = b""
            while len(content) <= MOST and (piece := file.read(MOST + 1 - len(content))):
                content += piece
    except (OSError, ValueError) as error:
        raise refused(InvalidInput, f"{name_of(path)} cannot be read", error) from None
    if len(content) > MOST:
        raise InvalidInput(f"{name_of(path)} is larger than {MOST >> 20} MB; name another file")
    return content


def _opened(path: str) -> AbstractContextManager[BinaryIO | FileIO]:
    if path != STDIN:
        return FileIO(path)
    if sys.stdin is None:  # started with it closed
        raise ValueError("it is closed")
    return nullcontext(sys.stdin.buffer)


def read_text(path: str) -> str:
    """The content of a UTF-8 file, without a byte order mark."""
    try:
        return read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise InvalidInput(f"{path}, line {line}: not UTF-8; save the file as UTF-8") from None


def read_json(path: str) -> Any:
    """The value of a JSON file."""
    text = read_text(path)
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        where = f"{path}, line {error.lineno}, column {error.colno}"
        raise InvalidInput(f"{where}: not JSON: {error.msg}") from None
    except (RecursionError, ValueError):
        raise InvalidInput(f"{path}: a number is too long or it is nested too deep") from None


def read_object(path: str) -> Mapping[str, Any]:
    """The object of a JSON file."""
    value = read_json(path)
    if not isinstance(value, dict):
        raise InvalidInput(
            f'{path}, line 1, column 1: must be a JSON object like {{"slots": {{...}}}}'
        )
    return value
