"""The machine and the versions that figures belong to."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path


def describe(command: str, libraries: Sequence[str]) -> str:
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
