"""Everybody who watches attempts. They observe: whatever one raises, the call goes on."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Callable

from attrs import define, field

from ..errors import ConfigurationError
from ..models import Attempt
from ..wire.http import Request

logger: logging.Logger = logging.getLogger(__name__)

#: What a user watches with. What it returns is not looked at.
OnAttempt = Callable[[Attempt], object]
#: The same for our own, who may read the route and the base URL of the request, and no more.
Watch = Callable[[Attempt, Request], object]


@define(eq=False, repr=False)
class Watchers:
    """Tells each in turn. The first thing that one raises is logged, with where it comes from."""

    _watches: list[Watch] = field(converter=list, factory=list)
    #: Those who have raised; what they raise from then on is dropped without a word.
    _failed: set[Watch] = field(factory=set, init=False)

    def add(self, watch: Watch) -> None:
        """One more, from the next attempt on."""
        self._watches.append(watch)

    def __bool__(self) -> bool:
        return bool(self._watches)

    def tell(self, attempt: Attempt, request: Request) -> None:
        """Tell everybody of one attempt, in the event loop: who is slow here holds up the sends."""
        for watch in self._watches:
            try:
                watch(attempt, request)
            except (Exception, asyncio.CancelledError):
                if watch not in self._failed:
                    self._failed.add(watch)
                    logger.exception("who watches attempts has raised; the next time it is dropped")


def watch_of(on_attempt: OnAttempt) -> Watch:
    """What tells a user's function, or `ConfigurationError` if nobody could call it."""
    if not callable(on_attempt):
        raise ConfigurationError("on_attempt must be a function of one Attempt")
    if _is_async(on_attempt):
        raise ConfigurationError(
            "on_attempt must be a plain function: nobody awaits it. Start a task in it, or put the"
            " attempt into a queue"
        )
    return lambda attempt, _: on_attempt(attempt)


def _is_async(function: object) -> bool:
    called = getattr(type(function), "__call__", None)  # noqa: B004 - what it is, not whether
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(called)
