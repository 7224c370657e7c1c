"""A page of the guide as a terminal shows it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from rich.console import Console, ConsoleOptions, RenderResult
from rich.markdown import Markdown, MarkdownElement, TableElement
from rich.table import Table


class _Table(TableElement):
    """A long name in a narrow column goes on in the next line; rich would cut it."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for drawn in super().__rich_console__(console, options):
            if isinstance(drawn, Table):
                for column in drawn.columns:
                    column.overflow = "fold"
            yield drawn


class Page(Markdown):
    """Markdown with tables that lose nothing."""

    elements: ClassVar[Mapping[str, type[MarkdownElement]]] = {  # type: ignore[assignment]
        **Markdown.elements,
        "table_open": _Table,
    }
