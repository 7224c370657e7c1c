"""All checks in their order; one that breaks does not stop the others."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from functools import partial

from attrs import define, field

from ...errors import MoveworksError
from ...settings import environment
from . import machine, network, server
from .finding import Finding, broken, failed, skipped
from .found import settings_found
from .regions import regions
from .setup import Setup

Check = Callable[[Setup], Awaitable["Finding | list[Finding]"]]

_CHECKS: Mapping[str, Check] = {
    "gate": machine.gate,
    "journals": machine.journals,
    "database": machine.database,
    "proxy": network.proxy,
    "name": network.name,
    "connection": network.connection,
    "token": server.tokens,
    "auth test": server.auth_test,
    "clock": server.clock,
}


@define(eq=False, kw_only=True)
class Examination:
    """One examination of one tenant."""

    #: Who gets a message; None: nobody.
    to: str | None = field(default=None, repr=False)
    #: For which event; None: the legacy endpoint.
    event: str | None = None
    #: Ask every region's host.
    all_regions: bool = False
    _setup: Setup = field(factory=Setup, init=False)

    async def run(self) -> AsyncIterator[Finding]:
        """What each check says, as soon as it has ended."""
        yield machine.versions()
        for finding in settings_found(environment(), self._setup):
            yield finding
        for check, ask in {**_CHECKS, **self._asked_for()}.items():
            for finding in await self._guarded(check, ask):
                yield finding

    @property
    def variant(self) -> str:
        """Which of the documented variants this tenant shows."""
        return "; ".join(self._setup.traits) or "not known: the server has said nothing"

    @property
    def maybe_told(self) -> bool:
        """A message was on its way when it was cut."""
        return self._setup.maybe_told

    def _asked_for(self) -> dict[str, Check]:
        """What is done on demand alone."""
        checks: dict[str, Check] = {"regions": regions} if self.all_regions else {}
        if self.to is not None:
            checks["message"] = partial(self._message, to=self.to)
        return checks

    async def _message(self, setup: Setup, to: str) -> Finding:
        if setup.settings is None or not setup.let_in:
            return skipped("message", "the credential was not accepted")
        return await server.message(setup, setup.settings, to, self.event)

    async def _guarded(self, check: str, ask: Check) -> list[Finding]:
        """Whatever it raises is what it found."""
        try:
            found = await ask(self._setup)
        except MoveworksError as error:
            return [failed(check, error)]
        except Exception as error:
            return [broken(check, error)]
        return found if isinstance(found, list) else [found]
