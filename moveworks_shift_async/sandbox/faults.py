"""Faults on request: what can go wrong, and when it does. Pure.

A fault says two things that a client cannot see: whether the request was processed, and how
the connection ends. A script goes first: a queue for each route family, one entry a request.
Without a script the rates decide, by a random number of the sandbox's own seed.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any

from attrs import define, field, frozen

from ..errors import InvalidInput
from .routes import FAMILIES


class Reads(StrEnum):
    """How much of the request's body the sandbox takes before the fault."""

    NOTHING = "nothing"
    HALF = "half"
    ALL = "all"


class Ending(StrEnum):
    """What the client gets."""

    #: A canned answer: `status` and `form` of the fault.
    CANNED = "canned"
    #: The 429 of the limiter.
    THROTTLED = "throttled"
    #: Every token dies; this request is the first to hear of it.
    EXPIRED = "expired"
    #: 403 of a credential that works but may not do this.
    FORBIDDEN = "forbidden"
    #: `status` and a `Location` on another host.
    REDIRECT = "redirect"
    #: A TCP reset.
    RESET = "reset"
    #: No answer and no end, until the client goes or the bound passes; then a reset.
    SILENCE = "silence"
    #: The head and half the body of the true answer, then the end of the connection.
    HALF = "half"
    #: The true answer after a delay.
    SLOW = "slow"
    #: Status 200 and a body that is not JSON.
    MALFORMED = "malformed"


@frozen(kw_only=True)
class Fault:
    """One kind of fault."""

    kind: str
    ending: Ending
    #: The request takes effect, provided that it is a good one.
    processed: bool = False
    reads: Reads = Reads.ALL
    status: int = 0
    #: `json`, `html` or `empty`.
    form: str = ""

    @property
    def sentence(self) -> str:
        """What happens, in words."""
        told = "is processed" if self.processed else "is not processed"
        return f"The request {told}; {_ENDINGS[self.ending].format(self=self)}."


_ENDINGS = {
    Ending.CANNED: "the answer is {self.status}, its body {self.form}",
    Ending.THROTTLED: "the answer is 429",
    Ending.EXPIRED: "every token ends, and the answer is 401",
    Ending.FORBIDDEN: "the answer is 403",
    Ending.REDIRECT: "the answer is {self.status}, to another host",
    Ending.RESET: "the connection is reset without an answer",
    Ending.SILENCE: "no answer comes, and no end",
    Ending.HALF: "half of the answer comes",
    Ending.SLOW: "the answer comes late",
    Ending.MALFORMED: "the answer is 200 and no JSON",
}


def _server_errors() -> Iterable[Fault]:
    for status in (500, 502, 503):
        for form in ("json", "html", "empty"):
            for processed, prefix in ((False, "server"), (True, "processed-then")):
                yield Fault(
                    kind=f"{prefix}-{status}-{form}",
                    ending=Ending.CANNED,
                    processed=processed,
                    status=status,
                    form=form,
                )


_LIST = (
    *_server_errors(),
    Fault(kind="throttle", ending=Ending.THROTTLED),
    Fault(kind="throttle-storm", ending=Ending.THROTTLED),
    Fault(kind="expired-token", ending=Ending.EXPIRED),
    Fault(kind="forbidden", ending=Ending.FORBIDDEN),
    Fault(kind="redirect-302", ending=Ending.REDIRECT, status=302),
    Fault(kind="redirect-307", ending=Ending.REDIRECT, status=307),
    Fault(kind="reset-before-body", ending=Ending.RESET, reads=Reads.NOTHING),
    Fault(kind="reset-mid-body", ending=Ending.RESET, reads=Reads.HALF),
    Fault(kind="reset-after-body", ending=Ending.RESET),
    Fault(kind="processed-then-reset", ending=Ending.RESET, processed=True),
    Fault(kind="silence", ending=Ending.SILENCE),
    Fault(kind="processed-then-silence", ending=Ending.SILENCE, processed=True),
    Fault(kind="half-answer", ending=Ending.HALF, processed=True),
    Fault(kind="slow-answer", ending=Ending.SLOW, processed=True),
    Fault(kind="malformed-json", ending=Ending.MALFORMED, processed=True),
)
#: Every fault by its name.
FAULTS: Mapping[str, Fault] = {fault.kind: fault for fault in _LIST}
#: In a script: this request is served as usual.
NO_FAULT = "none"


@define(eq=False, kw_only=True)
class FaultPlan:
    """Which request meets which fault."""

    seed: int = 0
    #: Requests in a row that one `throttle-storm` refuses.
    storm: int = 3
    _scripts: dict[str, deque[str]] = field(init=False)
    _rates: dict[str, dict[str, float]] = field(init=False)
    _storms: dict[str, int] = field(init=False)
    _random: random.Random = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._random = random.Random(self.seed)  # noqa: S311 - repeatable, not secret
        self.clear()

    def script(self, family: str, *kinds: str, times: int = 1) -> None:
        """Give the next requests of a family these faults, in order, after those already queued.

        Raises `InvalidInput` if there is no such family or kind.
        """
        _check(family, kinds)
        self._scripts[family].extend(kinds * times)

    def rate(self, family: str, kind: str, probability: float) -> None:
        """Give each request of a family this fault with a probability; 0 ends it.

        Raises `InvalidInput` if there is no such family or kind, or the rates of it exceed 1.
        """
        _check(family, (kind,))
        rates = self._rates[family] | {kind: probability}
        # A hair over 1 is rounding: ten rates of 0.1 add up to it.
        if not (probability >= 0 and sum(rates.values()) <= 1 + 1e-9):
            raise InvalidInput(f"rates of {family!r} must lie in 0..1 and add up to at most 1")
        self._rates[family] = rates

    def clear(self) -> None:
        """Forget every script, rate and storm."""
        self._scripts = {family: deque() for family in FAMILIES}
        self._rates = {family: {} for family in FAMILIES}
        self._storms = dict.fromkeys(FAMILIES, 0)

    def load(self, orders: Mapping[str, Any]) -> None:
        """Take orders as data: `clear`, `script` (family -> kinds), `rates` (family -> kind -> p).

        Raises `InvalidInput` for data of another shape; what came before the error stays done.
        """
        if unknown := orders.keys() - {"clear", "script", "rates"}:
            raise InvalidInput(
                f"fault orders are clear, script and rates, not {', '.join(sorted(unknown))}"
            )
        if not isinstance(orders.get("clear", False), bool):
            raise InvalidInput("`clear` must be true or false")
        try:
            if orders.get("clear"):
                self.clear()
            for family, kinds in orders.get("script", {}).items():
                self.script(family, *kinds)
            for family, rates in orders.get("rates", {}).items():
                for kind, probability in rates.items():
                    self.rate(family, kind, float(probability))
        except (AttributeError, TypeError, ValueError, OverflowError) as error:
            raise InvalidInput(f"fault orders cannot be read: {error}") from None

    def pending(self) -> dict[str, Any]:
        """What is still to come, in the form that `load` takes."""
        return {
            "script": {family: list(queue) for family, queue in self._scripts.items() if queue},
            "rates": {family: dict(rates) for family, rates in self._rates.items() if rates},
        }

    def draw(self, family: str) -> Fault | None:
        """The fault of the next request of a family, or None."""
        if self._storms[family]:
            self._storms[family] -= 1
            return FAULTS["throttle-storm"]
        kind = self._scripts[family].popleft() if self._scripts[family] else self._roll(family)
        if kind == "throttle-storm":
            self._storms[family] = self.storm - 1
        return FAULTS.get(kind)

    def uniform(self, most: float) -> float:
        """A random number from 0 to `most`."""
        return self._random.uniform(0, most)

    def _roll(self, family: str) -> str:
        rates = self._rates[family]
        if not rates:
            return NO_FAULT
        number = self._random.random()
        for kind, probability in rates.items():
            number -= probability
            if number < 0:
                return kind
        return NO_FAULT


def _check(family: str, kinds: Iterable[str]) -> None:
    if family not in FAMILIES:
        raise InvalidInput(f"no route family {family!r}; there are {', '.join(FAMILIES)}")
    for kind in kinds:
        if kind not in FAULTS and kind != NO_FAULT:
            raise InvalidInput(f"no fault {kind!r}; there are {', '.join(FAULTS)}")
