"""How many people the rate limit alone would have let a job tell by when. Pure.

A run may start its whole budget at once, and again each window. So the limit is a stair, and what
was accepted can touch it but not pass it, but for runs that follow one another within a window.
"""

from __future__ import annotations

from collections.abc import Iterator

from .account import JobAccount


def allowance(account: JobAccount) -> list[tuple[float, float]]:
    """The stair's corners: (seconds since the begin, people from then on)."""
    each = account.people / max(1, account.chunks)
    told, free_at = 0.0, 0.0
    corners = [(0.0, 0.0)]
    for run, (begin, end) in zip(account.runs, _spans(account), strict=True):
        free_at = max(begin, free_at)
        while free_at <= end and told < account.people:
            told = min(float(account.people), told + run.budget * each)
            corners.append((free_at, told))
            free_at += run.per
    return corners


def _spans(account: JobAccount) -> Iterator[tuple[float, float]]:
    """Begin and end of each run, in seconds since the begin of the first."""
    if not account.runs:
        return
    first = account.runs[0].began_at
    begins = [max(0.0, run.began_at - first) for run in account.runs]
    ends = {gap.after + gap.seconds: gap.after for gap in account.breaks}
    for begin, following in zip(begins, [*begins[1:], account.elapsed], strict=True):
        near = (end for back, end in ends.items() if abs(back - following) < 1e-3)
        yield begin, next(near, following)
