"""Whose budget a state is, who may join, and who lives no more."""

from __future__ import annotations

import hashlib
import json
import os

from ...errors import ConfigurationError, OtherLimit
from ...settings import RateLimit
from ..window import Quota
from .state import SharedState
from .store import Place


def admit(
    state: SharedState | None, place: Place, organisation: str, limit: RateLimit
) -> SharedState:
    """The state for a newcomer, who decides whose it is if nobody uses it.

    Raises `ConfigurationError` if others use it for another organisation, and `OtherLimit`.
    """
    if state is None or state.epoch != place.epoch():
        return SharedState.of(place.epoch(), _digest(organisation), quota_of(limit), place.pace)
    remove_dead(state, place)
    wanted = quota_of(limit)
    if not state.members:  # what was spent and the rate stay
        state.organisation = _digest(organisation)
        state.window.retune(wanted)
    elif state.organisation != _digest(organisation, state.organisation.partition(":")[0]):
        raise ConfigurationError(
            f"other processes use the gate {place.kind} {place.place} for another base_url or"
            f" credential; give each organisation a {place.kind} of its own"
        )
    elif state.window.quota != wanted:
        raise other_limit(f"{place.kind} {place.place}", state.window.quota, wanted)
    return state


def quota_of(limit: RateLimit) -> Quota:
    """The quota of all members together."""
    return Quota(limit.budget, limit.per, limit.budget)


def other_limit(where: str, theirs: Quota, ours: Quota) -> OtherLimit:
    """What to say to whoever has another limit than those who use the gate."""
    return OtherLimit(
        f"other processes use the gate {where} with {theirs.budget} requests in {theirs.per:g} s,"
        f" not {ours.budget} in {ours.per:g} s; give all the same rate_limit"
        " (in commands --requests-per-minute and --share)",
        requests=theirs.budget,
        per=theirs.per,
    )


def read(text: str, place: Place) -> SharedState:
    """The state that was written as this text, which nobody else changes now."""
    try:
        state = SharedState.restored(json.loads(text), place.pace)
        state.follow(place.now())
    except (ValueError, TypeError, LookupError, AttributeError):
        raise place.damaged() from None
    return state


def remove_dead(state: SharedState, place: Place) -> None:
    """Strike those from the state who live no more."""
    now = place.now()
    for number, member in list(state.members.items()):
        if not place.alive(member.identity, now - member.seen):
            state.leave(number, now)


def _digest(organisation: str, salt: str = "") -> str:
    """Says the same of the same organisation, and nothing else of it."""
    salt = salt or os.urandom(16).hex()
    return f"{salt}:{hashlib.sha256((salt + organisation).encode()).hexdigest()}"
