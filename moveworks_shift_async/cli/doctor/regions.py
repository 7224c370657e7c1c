"""Which region takes the credential: each one's host is asked, and so each one sees it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from ...errors import ConnectionFailed, MoveworksError, NotAuthenticated, TokenUnavailable
from ...settings import MoveworksCredentials, MoveworksSettings, RateLimit, Region
from .finding import Finding, failed, ok, skipped
from .setup import Setup, client_of

#: The hosts by the names that MOVEWORKS_REGION takes.
REGIONS: Mapping[str, str] = {name: region.value for name, region in Region.__members__.items()}


def announcement() -> str:
    """What is said before it is done."""
    hosts = ", ".join(url.partition("://")[2] for url in REGIONS.values())
    return f"--all-regions shows the credential to each of these hosts now: {hosts}"


async def regions(setup: Setup) -> Finding:
    """Ask all of them at once."""
    credentials = setup.credentials
    if credentials is None:
        return skipped("regions", "there is no credential")
    async with asyncio.TaskGroup() as group:
        asking = {name: group.create_task(_ask(url, credentials)) for name, url in REGIONS.items()}
    met = {name: task.result() for name, task in asking.items()}
    takes, told = [name for name, error in met.items() if error is None], _told(met)
    if setup.let_in:
        return ok("regions", told)
    if not any(error is None or isinstance(error, NotAuthenticated) for error in met.values()):
        return failed("regions", ConnectionFailed(told))
    refused = NotAuthenticated(told, status=401)
    return failed("regions", refused, more=f"MOVEWORKS_REGION={takes[0]}" if takes else "")


async def _ask(url: str, credentials: MoveworksCredentials) -> MoveworksError | None:
    """Why that host did not take the credential; None: it did."""
    settings = MoveworksSettings(credentials=credentials, base_url=url, rate_limit=RateLimit())
    try:
        async with client_of(settings, {}) as client:
            await client.auth.test()
    except MoveworksError as error:
        cause = error.cause if isinstance(error, TokenUnavailable) else None
        return cause or error
    return None


def _told(met: Mapping[str, MoveworksError | None]) -> str:
    """Which hosts took it, which refused it, and what the others met."""
    groups: dict[str, list[str]] = {"taken by": [], "refused by": []}
    for name, error in met.items():
        groups.setdefault(_group(error), []).append(name)
    groups["taken by"] = groups["taken by"] or ["none"]
    return "; ".join(f"{group} {', '.join(names)}" for group, names in groups.items() if names)


def _group(error: MoveworksError | None) -> str:
    if error is None:
        return "taken by"
    refused = isinstance(error, NotAuthenticated)
    return "refused by" if refused else f"{type(error).__name__} at"
