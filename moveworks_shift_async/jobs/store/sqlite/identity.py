"""Is this the file that the job was last run from? A file is moved, copied and put back by people.

1. A run writes down which file it worked on. Another file is a copy, and the job may have gone on
   in the first one: that is for the user to say (`Stray.COPY`). A plan that never began is free.
2. Each change of a chunk counts up in its row and in the job's. Where the sums differ the pages
   are of different moments (`Stray.TORN`): it was copied while it was written, or its process was
   killed in a commit and it was carried away without what lay beside it. The job's count is noted
   on the file itself, and apart from it, since a backup may bring back the former: so an older copy
   that is put in its place is known (`Stray.OLDER`). Both are gone on with by the user's word
   alone, and all that may have left is unknown then.
3. While a process works on it, its path must name that very file, and the file must hold all that
   the process has written (`check`).
"""

from __future__ import annotations

from attrs import define, field

from ....errors import JournalError
from ...records import Stray
from .database import Database
from .lock import Lock, moved_away, place_of, steps_noted
from .reads import Reads


@define(eq=False, repr=False)
class FileIdentity:
    """What is known of a journal's file beside what it holds."""

    _db: Database
    #: What was noted of the file before it was read, on it and apart from it.
    _noted: tuple[str, str] = field(default=("", ""))
    #: The job's key and count of steps as this process has written them; None: it runs nothing.
    _written: tuple[str, int] | None = field(default=None, init=False)

    @property
    def belongs(self) -> bool:
        """This process runs the job, and has settled that this file is the job's."""
        return self._written is not None

    def count(self) -> tuple[str, int]:
        """The job's key, and its count of steps."""
        key, steps = self._db.one("steps")
        return str(key), int(steps)

    def strayed(self) -> Stray | None:
        """Why it may not be the file that the job was last run from; None: it is, or never ran."""
        if self.belongs:
            return None
        header, (key, steps) = Reads(self._db).header(), self.count()
        (counted,) = self._db.one("steps_of_chunks")
        if counted != steps:
            return Stray.TORN
        if steps_noted(self._noted, key) > steps:
            return Stray.OLDER
        if header.place is None:
            return None
        on_file, apart = (note.partition(" ")[0] for note in self._noted)
        same = header.place == place_of(self._db.path) and apart in ("", key)
        return None if same and (on_file == key or not header.marked) else Stray.COPY

    def adopt(self) -> None:
        """By the user's word this file is the newest from now on, whatever was noted of others."""
        key, steps = self.count()
        (counted,) = self._db.one("steps_of_chunks")
        most = 1 + max(steps, counted, steps_noted(self._noted, key))
        self._db.run("set_steps", (most,))
        self._db.run("add_steps", (most - counted,))

    def belong(self, lock: Lock) -> None:
        """From now on this file is the job's."""
        key, _ = self.count()
        # Not the count of now, which may be rolled back: a mark never says more than its file.
        kept = lock.mark(f"{key} {steps_noted(self._noted, key)}")
        self._db.run("set_place", (lock.place, kept))
        self._written = key, -1

    def committed(self, lock: Lock, counted: tuple[str, int]) -> None:
        """So much was written: note it on the file, before anything of it can leave."""
        if counted != self._written:
            self._written = counted
            lock.mark("{} {}".format(*counted))

    def check(self, lock: Lock) -> None:
        """What this process has written is in the file that its path names; else `JournalError`."""
        if self._written is None:
            return
        lock.check_place()
        (key, steps), found = self._written, self.count()
        if found[0] != key or found[1] < steps:
            raise self.moved()

    def moved(self) -> JournalError:
        """Its name is another file's now, or nobody's."""
        return moved_away(self._db.path)
