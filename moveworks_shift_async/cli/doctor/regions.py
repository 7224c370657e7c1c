"""Which region takes the credential: each one's host is asked, and so each one sees it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from ...errors import MoveworksError, NotAuthenticated, TokenUnavailable
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
    """Which hosts took it, which refused it, and what the others said."""
    refused = [name for name, error in met.items() if isinstance(error, NotAuthenticated)]
    parts = [f"taken by {', '.join(name for name in met if met[name] is None) or 'none'}"]
    parts += [f"refused by {', '.join(refused)}"] if refused else []
    others = {name: error for name, error in met.items() if error and name not in refused}
    parts += [f"{name} met {type(error).__name__}" for name, error in others.items()]
    return "; ".join(parts)
