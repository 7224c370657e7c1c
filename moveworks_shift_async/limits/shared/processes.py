"""Which processes live, and since which boot: what the system says, where it says it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

# Seconds of silence after which a process of another container is taken for dead. Its number
# means nothing here, so only its last step tells; no request is on its way for so long.
SILENCE = 600.0

_PROC = Path("/proc")


def boot() -> str:
    """Names this boot of the machine; empty where the system does not say."""
    try:
        return (_PROC / "sys/kernel/random/boot_id").read_text("ascii").strip()
    except OSError:
        return ""


def myself() -> str:
    """This process: its number, when it started, and where its number counts."""
    return f"{os.getpid()} {_started(os.getpid())} {_space()}"


def alive(identity: str, silent: float) -> bool:
    """Whether a process lives that was last heard of `silent` seconds ago."""
    pid, started, space = map(int, identity.split())
    if space != _space() or sys.platform == "win32":
        return silent < SILENCE
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's: it lives
        pass
    return _started(pid) == started


def _started(pid: int) -> int:
    """Its start in ticks since the boot, as field 22 of proc(5) `stat` tells; 0 if it does not."""
    try:
        stat = (_PROC / str(pid) / "stat").read_bytes()
    except OSError:
        return 0
    state, *fields = stat.rpartition(b")")[2].split()
    return -1 if state in b"ZX" else int(fields[18])  # a zombie runs no more


def _space() -> int:
    """The namespace of process numbers that ours is one of; 0 where there are none."""
    try:
        return os.stat(_PROC / "self/ns/pid").st_ino
    except OSError:
        return 0
