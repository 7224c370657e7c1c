"""The form of every error about a source: one line that names its place, and holds no address."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from ..errors import InvalidInput, MoveworksError
from .address_text import without_addresses


def refuse(name: str, line: int | None, what: str, unit: str = "line") -> InvalidInput:
    """Build the one-line error that names the file and, where there is one, the line."""
    return InvalidInput(f"{name}: {what}" if line is None else f"{name}, {unit} {line}: {what}")


@contextmanager
def broken(name: str, what: str, *, fix: str) -> Iterator[None]:
    """Turn what a library raises for a broken file into our error; its text may hold cells."""
    try:
        yield
    except MoveworksError:
        raise
    except Exception as error:
        raise refuse(name, None, f"a broken {what} ({type(error).__name__}); {fix}") from None


def quoted(name: str) -> str:
    """Put a column's name into a message: one line, not endless, and no address."""
    flat = without_addresses(" ".join(name.split()))
    return f'"{flat}"' if len(flat) <= 60 else f'"{flat[:57]}..."'


def listed(names: Sequence[str], limit: int = 20) -> str:
    """Name the columns that are there, the first `limit` of them."""
    shown = [quoted(name) for name in names[:limit] if name.strip()]
    return ", ".join(shown) + (", ..." if len(names) > limit else "")
