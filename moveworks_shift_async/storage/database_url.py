"""The URL of a database: what it names, and what of it may be shown."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, urlencode

# A URL of which it is sure where a password stands: one with an @, a / or a # in it is not.
_PLAIN = re.compile(
    r"(?P<scheme>\w+)://(?:(?P<user>[^:@/?#]*)(?P<password>:[^@/?#]*)?@)?"
    r"(?P<place>[^@/?#]*(?:/[^@/?#]*)?)\??(?P<query>[^@#]*)"
)
# What a URL may show behind its question mark: of the rest, nobody knows what is secret.
_SHOWN = {"host", "hostaddr", "port", "dbname", "user", "sslmode", "target_session_attrs"}


def is_url(name: str) -> bool:
    """Whether a name leads to a database, and not to a file."""
    return name.startswith(("postgresql://", "postgres://"))


def is_other_url(name: str) -> bool:
    """Whether it is a URL of something else. Taken for a file's name, its password would show."""
    return "://" in name and not is_url(name)


def database_of(name: str) -> str:
    """The URL of the database in a job's name."""
    return name.rpartition("#")[0] or name


def without_password(url: str) -> str:
    """The URL as it may be shown: also one that libpq refuses shows no password."""
    if (plain := _PLAIN.fullmatch(url)) is None:
        return f"{url.partition('://')[0]}://***" if "://" in url else "***"
    kept = [pair for pair in parse_qsl(plain["query"]) if pair[0] in _SHOWN]
    query = f"?{urlencode(kept, safe='/:')}" if kept else ""
    hidden = ":***" if plain["password"] else ""
    at = "@" if plain["user"] is not None else ""
    return f"{plain['scheme']}://{plain['user'] or ''}{hidden}{at}{plain['place']}{query}"
