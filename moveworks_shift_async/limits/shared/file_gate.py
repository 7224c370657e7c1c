"""The gate of this machine: a shared gate whose state is a file."""

from __future__ import annotations

import os

from ...clock import SYSTEM_CLOCK, Clock
from .gate import SharedGate
from .store import Store


class FileGate(SharedGate):
    """Shares one rate limit among all processes of this machine that name the same file.

    Give it to a client as `gate`; the client's rate limit and credential must be those of all
    others that use the file. The file is made if need be, for this user only; one that is there
    keeps its permissions. It holds numbers and no secret. Its directory must be on a local disk:
    SQLite's locks do not hold on network file systems. A file that is deleted or replaced ends the
    calls that wait in `ConfigurationError`: those who open the path later share another budget. A
    gate is opened in the process that uses it, not before a fork.
    """

    def __init__(self, path: str | os.PathLike[str], clock: Clock = SYSTEM_CLOCK) -> None:
        self.path: str = os.fspath(path)
        super().__init__(f"the gate file {self.path}", self._open, clock)

    def __repr__(self) -> str:
        return f"<FileGate {self.path} {self.snapshot() if self._queue else 'unused'}>"

    def _open(self) -> Store:
        # SQLite takes milliseconds to import: only those who name a file pay them.
        from .file_store import FileStore  # noqa: PLC0415

        return FileStore.open(self.path, self.clock)
