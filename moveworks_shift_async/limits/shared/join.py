"""Whose budget a state is, who may join, and who lives no more."""

from __future__ import annotations

import hashlib
import json
import os

from ...errors import ConfigurationError, OtherLimit
from ...settings import RateLimit
from ..window import Quota
from .state import SharedState
from .store import Store


def admit(text: str, store: Store, organisation: str, limit: RateLimit) -> SharedState:
    """The state for a newcomer, who decides whose it is if nobody uses it.

    Raises `ConfigurationError` if others use it for another organisation, and `OtherLimit`.
    """
    state = read(text, store) if text else None
    if state is None or state.epoch != store.epoch():
        return SharedState.of(store.epoch(), _digest(organisation), limit.budget, limit.per)
    remove_dead(state, store)
    wanted = Quota(limit.budget, limit.per, limit.budget)
    if not state.members:  # what was spent and the rate stay
        state.organisation = _digest(organisation)
        state.window.retune(wanted)
    elif state.organisation != _digest(organisation, state.organisation.partition(":")[0]):
        raise ConfigurationError(
            f"other processes use the gate {store.kind} {store.place} for another base_url or"
            f" credential; give each organisation a {store.kind} of its own"
        )
    elif state.window.quota != wanted:
        raise _other_limit(store, state.window.quota, wanted)
    return state


def _other_limit(store: Store, theirs: Quota, ours: Quota) -> OtherLimit:
    return OtherLimit(
        f"other processes use the gate {store.kind} {store.place} with {theirs.budget} requests in"
        f" {theirs.per:g} s, not {ours.budget} in {ours.per:g} s; give all the same rate_limit"
        " (in commands --requests-per-minute and --share)",
        requests=theirs.budget,
        per=theirs.per,
    )


def read(text: str, store: Store) -> SharedState:
    """The state that was written as this text."""
    try:
        return SharedState.restored(json.loads(text))
    except (ValueError, TypeError, KeyError, AttributeError):
        raise store.damaged() from None


def remove_dead(state: SharedState, store: Store) -> None:
    """Strike those from the state who live no more."""
    now = store.now()
    for number, member in list(state.members.items()):
        if not store.alive(member.identity, now - member.seen):
            state.leave(number, now)


def _digest(organisation: str, salt: str = "") -> str:
    """Says the same of the same organisation, and nothing else of it."""
    salt = salt or os.urandom(16).hex()
    return f"{salt}:{hashlib.sha256((salt + organisation).encode()).hexdigest()}"
