"""The settings, each with where it came from. A secret is shown by its length alone."""

from __future__ import annotations

from collections.abc import Iterator

from ...errors import MoveworksError
from ...settings import Environment, MoveworksSettings, moveworks_from_env, shift_from_env
from ...text import rate
from .finding import Finding, failed, ok, skipped
from .setup import Setup

_CREDENTIAL = ("MOVEWORKS_API_KEY", "MOVEWORKS_CLIENT_ID", "MOVEWORKS_CLIENT_SECRET")
_SERVER = ("MOVEWORKS_BASE_URL", "MOVEWORKS_REGION")
_RATE = ("MOVEWORKS_REQUESTS_PER_MINUTE", "MOVEWORKS_SHARE")
_SHIFT = (
    "SHIFT_CLIENT_ID",
    "SHIFT_CLIENT_SECRET",
    "SHIFT_ACCESS_TOKEN",
    "SHIFT_REFRESH_TOKEN",
)


def settings_found(env: Environment, setup: Setup) -> Iterator[Finding]:
    """Each group of settings by itself: one that is wrong hides no other."""
    for check, read in (("credential", _credential), ("server", _server), ("limit", _limit)):
        try:
            yield read(check, env, setup)
        except MoveworksError as error:
            yield failed(check, error)
    setup.gate = env.get("MOVEWORKS_GATE")
    yield _shift(env)


def _credential(check: str, env: Environment, setup: Setup) -> Finding:
    setup.credentials = _read(env, *_CREDENTIAL).credentials
    return ok(check, _lengths(env, _CREDENTIAL))


def _server(check: str, env: Environment, setup: Setup) -> Finding:
    setup.base_url = _read(env, *_SERVER).base_url
    named = [name for name in _SERVER if env.get(name)]
    return ok(check, f"{setup.base_url}, from {named[0] if named else 'the default, region US'}")


def _limit(check: str, env: Environment, setup: Setup) -> Finding:
    setup.rate_limit = limit = _read(env, *_RATE).rate_limit
    named = [name for name in _RATE if env.get(name)]
    setup.rate_named = bool(named)
    share = f", and a share of {limit.share:g} of it" if limit.share != 1 else ""
    source = " and ".join(named) or "the default"
    return ok(check, f"{rate(limit.requests, limit.per)}{share}, from {source}")


def _shift(env: Environment) -> Finding:
    """Whether its settings are whole; SHIFT has no request that tells nobody anything."""
    if env.get("SHIFT_BASE_URL") is None:
        return skipped("shift", "SHIFT_BASE_URL is not set")
    try:
        found = shift_from_env(on_refresh=lambda *_: None)
    except MoveworksError as error:
        return failed("shift", error)
    return ok("shift", f"{found.base_url}, from SHIFT_BASE_URL; {_lengths(env, _SHIFT)}")


def _read(env: Environment, *names: str) -> MoveworksSettings:
    """What these variables say, with a credential in any case."""
    given = {name: value for name in names if (value := env.get(name))}
    if names != _CREDENTIAL:
        given["MOVEWORKS_API_KEY"] = "none"
    return moveworks_from_env(given)


def _lengths(env: Environment, names: tuple[str, ...]) -> str:
    values = {name: value for name in names if (value := env.get(name))}
    return "; ".join(f"{name}: set, {len(value)} characters" for name, value in values.items())
