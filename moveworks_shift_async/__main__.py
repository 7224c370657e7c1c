"""`python -m moveworks_shift_async` and the command `moveworks-shift`."""

from __future__ import annotations

import sys
from importlib.util import find_spec

from .text import install

_EXTRA = ("click", "rich")


def main() -> None:
    """Run the command line and exit; without the extra `cli`, say how to install it."""
    missing = [name for name in _EXTRA if find_spec(name) is None]
    if missing:
        sys.exit(_missing(missing[0]))
    try:
        from .cli.main import run  # noqa: PLC0415 - what it needs may not be installed
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(run())


def _missing(name: str) -> int:
    sys.stderr.write(
        f"Error: the command line needs {name}, which is not installed. Nothing was sent."
        f" Run: {install(*_EXTRA)}\n"
    )
    return 2


if __name__ == "__main__":
    main()
