"""Limits at which a run stops by itself: `rejected>2%`, `unknown>0`, `throttled>10%`. Pure.

What counts is this run alone: whoever resumes a job has seen how it stands, and has decided. People
are rejected or unknown out of all whose requests have ended; requests are answered 429 out of all
that were made.

A number counts at once. A percentage of the first few requests says nothing, so it counts

- of people, once one request alone can no longer cross it: from 100 / P requests on, 50 for 2%. Or
  once it is certain: even if all who are left were accepted, it would be crossed.
- of requests, from as many on as the rate limit has in a window, too: what is in flight when the
  limit is met, up to all of it, is answered 429 together.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from fractions import Fraction
from typing import Literal, cast

from attrs import frozen

from ...errors import InvalidInput
from ...settings import RateLimit

_Of = Literal["rejected", "unknown", "throttled"]
# No share of people or requests is told by more digits.
_RULE = re.compile(r"(rejected|unknown|throttled)\s*>\s*([0-9]{1,12}(?:\.[0-9]{1,6})?)\s*(%?)")
_EXAMPLES = 'write it as "rejected>2%", "unknown>0" or "throttled>10%"'
_WHOLE = Fraction(100)


@frozen(kw_only=True)
class RunCounts:
    """What a run has met so far. Counts are people unless said otherwise."""

    accepted: int = 0
    rejected: int = 0
    unknown: int = 0
    #: Whom it has still to send to.
    left: int = 0
    #: Requests that have ended for good, and told, refused or may have told somebody.
    ended: int = 0
    #: All that were made, and the answers 429 among them.
    requests: int = 0
    throttled: int = 0


@frozen
class StopRule:
    """A limit, as it was written."""

    text: str
    of: _Of
    most: Fraction
    #: Of what it is a share of; else it is a count.
    percent: bool

    def crossed(self, counts: RunCounts, window: int) -> bool:
        """Whether these counts cross it; the rate limit has `window` requests."""
        count: int = getattr(counts, self.of)
        if not self.percent:
            return count > self.most
        if not self._over(count, self._base(counts)):
            return False
        if self.of == "throttled":
            return counts.requests >= window and counts.requests >= self._least()
        return counts.ended >= self._least() or self._over(count, self._base(counts) + counts.left)

    def said(self, counts: RunCounts) -> str:
        """That it was crossed, and the figures."""
        count: int = getattr(counts, self.of)
        base = self._base(counts)
        # Rounded up: 2.004% must not be called 2% where more than that is too much.
        percent = math.ceil(Fraction(count * 10_000, base)) / 100
        if self.of == "throttled":
            figures = f"{count:,} of {base:,} requests of this run were answered 429"
        else:
            figures = f"{count:,} of {base:,} people of this run are {self.of}"
        return f"{self.text} was crossed: {figures} ({percent:g}%)"

    def _base(self, counts: RunCounts) -> int:
        """What it is a share of."""
        if self.of == "throttled":
            return counts.requests
        return counts.accepted + counts.rejected + counts.unknown

    def _over(self, count: int, base: int) -> bool:
        return count * _WHOLE > self.most * base

    def _least(self) -> Fraction:
        """From how many requests on one alone does not cross it."""
        return _WHOLE / self.most


def parse_stop_rules(texts: str | Iterable[str]) -> tuple[StopRule, ...]:
    """The limits that these say; `InvalidInput` for what says none."""
    return tuple(map(_parsed, [texts] if isinstance(texts, str) else texts))


def crossed(rules: Iterable[StopRule], counts: RunCounts, limit: RateLimit) -> str | None:
    """Which limit is crossed, and the figures; None: none is."""
    met = (rule.said(counts) for rule in rules if rule.crossed(counts, limit.budget))
    return next(met, None)


def _parsed(text: str) -> StopRule:
    found = _RULE.fullmatch(text.strip())
    if found is None:
        raise InvalidInput(f"{_shown(text)} is no limit to stop at; {_hint(text)}{_EXAMPLES}")
    of, number, percent = found.groups()
    most = Fraction(number)
    if percent and most >= _WHOLE:
        raise InvalidInput(f"{_shown(text)} is never crossed; {_EXAMPLES}")
    if not percent and most.denominator > 1:
        raise InvalidInput(f"{_shown(text)} is no whole number and no percentage; {_EXAMPLES}")
    # 0% of anything is 0, and that is crossed at once.
    share = bool(percent) and most > 0
    return StopRule(f"{of}>{number}{percent}", cast("_Of", of), most, share)


def _hint(text: str) -> str:
    """A shell takes a bare `>` for itself, writes to a file, and leaves the word before it."""
    bare = text.strip() in ("rejected", "unknown", "throttled")
    return "put it in quotes, for a shell takes a bare > for itself; " if bare else ""


def _shown(text: str) -> str:
    return f"stop_if {text[:40]!r}"
