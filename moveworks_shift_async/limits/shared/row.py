"""The state of a gate as a row of a database, for the length of a transaction."""

from __future__ import annotations

import json
from typing import ClassVar

from attrs import define

from ...errors import ConfigurationError
from ...storage.postgres import Connection
from ...storage.statements import named_statements
from .state import Pace, SharedState

# Seconds of silence after which a process is taken for dead, and its requests for answered.
LEASE = 60.0


@define(eq=False)
class Row:
    """`Place` of a state that this transaction has locked."""

    kind: ClassVar[str] = "database"
    pace: ClassVar[Pace] = Pace(grace=0.02, attentive=5.0)
    place: str
    _key: str
    #: The state as text; empty if none was written yet.
    text: str
    _now: float
    _epoch: str

    @classmethod
    async def take(cls, connection: Connection, key: str, place: str) -> Row:
        """Lock it, and make it if need be."""
        while True:
            found = await (await connection.execute(_sql("take"), (key,))).fetchone()
            if found is not None:
                return cls(place, key, *found)
            await connection.execute(_sql("make"), (key,))

    async def put(self, connection: Connection, state: SharedState) -> None:
        """Write the state."""
        await connection.execute(_sql("put"), (json.dumps(state.as_json()), self._key))

    def now(self) -> float:
        """The database's clock, read when the row was locked."""
        return self._now

    def epoch(self) -> str:
        """The server and its timeline: commits may be lost where one of them is another."""
        return self._epoch

    def alive(self, identity: str, silent: float) -> bool:
        """Only its silence tells."""
        return silent < LEASE

    def damaged(self) -> ConfigurationError:
        """What stands in the row was not written by a gate of this release."""
        return ConfigurationError(
            f"what stands in the table of gates in {self.place} is no gate's, or another release's;"
            " delete its rows while nobody uses them"
        )


def tables() -> str:
    """What makes the table of gates."""
    return _sql("tables")


def _sql(name: str) -> str:
    return named_statements(__package__, "gate.sql")[name]
