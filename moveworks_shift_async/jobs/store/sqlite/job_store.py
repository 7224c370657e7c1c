"""One SQLite file as the store of a job."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncGenerator
from functools import partial

from attrs import frozen

from ....errors import JournalError
from ....storage.system import NO_DIRECTORY
from ...records import Command, Header
from ...threads import in_thread
from .account_store import SqliteAccountStore
from .database import is_journal
from .journal import Journal
from .lock import is_free, quiet, remove
from .plan_store import SqlitePlanStore
from .run_store import SqliteRunStore
from .thread import JournalThread


@frozen
class SqliteStore:
    """`Store` for a path. Whoever has the file's lock is the only run at work."""

    #: The path as it was given.
    name: str

    @classmethod
    def at(cls, path: str) -> SqliteStore:
        """`JournalError` if the path can lead nowhere."""
        try:
            os.path.abspath(path)
        except FileNotFoundError:
            raise JournalError(f"{path} leads nowhere: {NO_DIRECTORY}") from None
        return cls(path)

    @property
    def scratch(self) -> str:
        """The file's own directory: there is room."""
        return os.path.dirname(os.path.abspath(self.name))

    async def plan(self, header: Header) -> SqlitePlanStore:
        """Make the file."""
        return await SqlitePlanStore.create(self.name, header)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncGenerator[SqliteRunStore]:
        """Take the file, with a thread of its own."""
        async with JournalThread.at(self.name) as thread:
            yield SqliteRunStore(thread)

    @contextlib.asynccontextmanager
    async def reading(self, *, addresses: bool = True) -> AsyncGenerator[SqliteAccountStore]:
        """A private copy, with a thread of its own."""
        look = partial(Journal.look, addresses=addresses)
        async with JournalThread.at(self.name, look) as thread:
            yield SqliteAccountStore(thread.do)

    async def exists(self) -> bool:
        """Whether the file is a journal, by its mark alone."""
        return await in_thread(partial(is_journal, self.name))

    def remove(self) -> None:
        """The file, and what was noted of it."""
        remove(self.name)

    async def ask(self, command: Command, at: float) -> bool:
        """Write it into the file, beside whoever runs it."""
        return await in_thread(partial(self._ask, command, at))

    def _ask(self, command: Command, at: float) -> bool:
        with quiet, Journal.open(self.name) as journal:
            if is_free(self.name):
                return False
            if command is Command.RUN and journal.reads.command() is not Command.PAUSE:
                return False
            journal.write("set_command", (command, at))
            return True
