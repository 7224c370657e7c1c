"""How figures are printed: tables, and the machine and the versions that they belong to."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from rich.console import Console
from rich.table import Table


def new_table(title: str, first: str, *numbers: str) -> Table:
    """A table whose first column is text and whose others are numbers."""
    table = Table(title=title)
    table.add_column(first)
    for heading in numbers:
        table.add_column(heading, justify="right")
    return table


def show(command: str, libraries: Sequence[str], *parts: Table | str) -> None:
    """Print tables and lines, and what they were measured on."""
    console = Console(width=120)
    for part in (*parts, _describe(f"python -m benchmarks.{command}", libraries)):
        console.print(part, highlight=False)


def percentile(values: Sequence[float], part: float) -> float:
    """The value that `part` of all do not exceed."""
    return sorted(values)[min(len(values) - 1, int(len(values) * part))]


def _describe(command: str, libraries: Sequence[str]) -> str:
    """Processor, Python, library versions and the command, a line each."""
    versions = ", ".join(f"{name} {version(name)}" for name in libraries)
    return (
        f"machine  {_processor()}, {os.cpu_count()} cores, {platform.system()}\n"
        f"python   {platform.python_implementation()} {platform.python_version()}, {versions}\n"
        f"command  {command}"
    )


def _processor() -> str:
    """The processor's name; Linux alone keeps it in a file."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())
