"""Frozen settings and their defaults; the only reader of environment variables."""

from __future__ import annotations

import enum
import math
import os
import sys
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from attrs import field, frozen, validators

from .errors import ConfigurationError
from .validators import check_base_url, credential, is_loopback, number, one_of, proxy_url

#: How a token request of Moveworks is written.
TokenForm = Literal["form", "json"]
#: Takes (access_token, refresh_token, expires_in) of a new pair, to store it.
OnRefresh = Callable[[str, str, float | None], Awaitable[None] | None]


class Region(enum.StrEnum):
    """The data centres that Moveworks documents. Any other https base URL works as text."""

    US = "https://api.moveworks.ai"
    EU = "https://api.am-eu-central.moveworks.ai"
    CANADA = "https://api.am-ca-central.moveworks.ai"
    AUSTRALIA = "https://api.am-ap-southeast.moveworks.ai"
    GOV = "https://api.moveworksgov.ai"
    JAPAN = "https://api.jp.moveworks.com"
    UK = "https://api.uk.moveworks.com"
    US_PROD3 = "https://api.prod3.us.moveworks.com"
    US_PROD4 = "https://api.prod4.us.moveworks.com"
    DEMO = "https://api-demo.moveworks.ai"


@frozen
class ApiKey:
    """A Moveworks API key. It does not expire."""

    key: str = field(repr=False, validator=credential)


@frozen
class ClientCredentials:
    """A Moveworks OAuth 2.0 client. Tokens are fetched and refreshed for you."""

    client_id: str = field(validator=credential)
    client_secret: str = field(repr=False, validator=credential)
    #: How the token request is written at first; the vendor documents both. A server that refuses
    #: it with 400 or 415 is asked in the other form.
    token_request: TokenForm = field(
        default="form", kw_only=True, eq=False, validator=one_of("form", "json")
    )


@frozen
class AppCredentials:
    """A SHIFT application. The API takes both values in the query of each request."""

    client_id: str = field(validator=credential)
    client_secret: str = field(repr=False, validator=credential)


@frozen
class BearerToken:
    """A SHIFT user's access token that somebody else keeps fresh."""

    token: str = field(repr=False, validator=credential)


@frozen(kw_only=True)
class OAuthTokens:
    """A SHIFT user's token pair, refreshed for you. Each refresh ends the old refresh token."""

    client_id: str = field(validator=credential)
    client_secret: str = field(repr=False, validator=credential)
    refresh_token: str = field(repr=False, validator=credential)
    #: None: a refresh comes before the first call.
    access_token: str | None = field(
        default=None, repr=False, validator=validators.optional(credential)
    )
    #: Seconds the access token still lives; None: it is used until the server refuses it.
    expires_in: float | None = field(default=None, validator=validators.optional(number(least=0)))
    #: Called before a new pair is used, so that it can be stored. It may be async. If it raises,
    #: the pair is kept and offered again.
    on_refresh: OnRefresh | None = field(default=None, repr=False)


MoveworksCredentials = ApiKey | ClientCredentials
ShiftCredentials = AppCredentials | BearerToken | OAuthTokens


def identity(credentials: MoveworksCredentials | ShiftCredentials) -> str:
    """What stays the same of a credential while its secret or its tokens are replaced. A secret."""
    match credentials:
        case ApiKey(lasting) | BearerToken(lasting):
            return lasting
        case _:
            return credentials.client_id


def organisation(base_url: str, credentials: MoveworksCredentials | ShiftCredentials) -> str:
    """Whose budget a rate limit is: the server and what lasts of the credential. A secret."""
    return f"{base_url} {identity(credentials)}"


@frozen(kw_only=True)
class RateLimit:
    """What the organisation may send, and the part of it that this process takes."""

    #: Requests in a window. Moveworks documents 120 a minute for a whole organisation.
    requests: int = field(default=120, validator=number(least=1))
    #: Length of the window in seconds.
    per: float = field(default=60.0, validator=number(above=0))
    #: The part of `requests` to use, above 0 and at most 1; the rest is left to others.
    share: float = field(default=1.0, validator=number(above=0, most=1))

    @property
    def budget(self) -> int:
        """Requests that may start in a window, at least 1."""
        return max(1, math.floor(self.requests * self.share))


@frozen(kw_only=True)
class Timeouts:
    """Bounds in seconds. Waiting for the rate limit counts against none of them."""

    #: To have a connection: a place in your own pool, name, all addresses and TLS together.
    connect: float = field(default=10.0, validator=number(above=0))
    #: One request, from its start to the last byte of its answer.
    total: float = field(default=60.0, validator=number(above=0))
    #: How long closing the client waits for calls in flight before it cuts them.
    close: float = field(default=10.0, validator=number(least=0))


def proxy_from_env(base_url: str) -> str | None:
    """The URL of the proxy that `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` name for this one.

    Raises `ConfigurationError` for a proxy that requests cannot go through.
    """
    found = named_proxy(base_url)
    return None if found is None else proxy_url(found)


def named_proxy(base_url: str) -> str | None:
    """The same as it stands in the variables, whatever it is."""
    # It imports http.client and ssl, which a client needs anyway, and a look at a job does not.
    from urllib.request import getproxies, proxy_bypass  # noqa: PLC0415 - see above

    url = urlsplit(base_url)
    if is_loopback(url.hostname or "") or proxy_bypass(url.netloc):
        return None
    return getproxies().get(url.scheme)


@frozen(kw_only=True)
class MoveworksSettings:
    """What `MoveworksClient.from_env` found."""

    credentials: MoveworksCredentials
    base_url: str
    rate_limit: RateLimit
    #: `MOVEWORKS_GATE`: the file in which processes of this machine share the rate limit, the URL
    #: of the database in which those of many machines do, or `none` for a limit of this process
    #: alone. None: it is not set.
    gate: str | None = None


@frozen(kw_only=True)
class ShiftSettings:
    """What `ShiftClient.from_env` found."""

    credentials: ShiftCredentials
    base_url: str


def state_directory(environ: Mapping[str, str] | None = None) -> Path:
    """Where programs of this user keep what may be lost: `XDG_STATE_HOME`, `~/.local/state`, or the
    platform's own place. Raises `ConfigurationError` if the user has no home.
    """
    env = environment(environ, None)
    # A relative one is ignored, as the XDG specification says.
    if (named := Path(env.get("XDG_STATE_HOME") or "")).is_absolute():
        return named
    if (local := Path(env.get("LOCALAPPDATA") or "")).is_absolute() and sys.platform == "win32":
        return local
    try:
        home = Path.home()
    except RuntimeError:
        raise ConfigurationError("this user has no home directory") from None
    return home / ("Library/Application Support" if sys.platform == "darwin" else ".local/state")


def moveworks_from_env(
    environ: Mapping[str, str] | None = None, *, instead: Mapping[str, str] | None = None
) -> MoveworksSettings:
    """Read the `MOVEWORKS_` variables; raise `ConfigurationError` naming what is missing.

    `instead` holds values that win over the variables of their names.
    """
    env = environment(environ, instead)
    return MoveworksSettings(
        credentials=_moveworks_credentials(env),
        base_url=_moveworks_base_url(env),
        rate_limit=RateLimit(
            requests=env.number("MOVEWORKS_REQUESTS_PER_MINUTE", int, 120),
            share=env.number("MOVEWORKS_SHARE", float, 1.0, most=1.0),
        ),
        gate=env.get("MOVEWORKS_GATE"),
    )


def shift_from_env(
    environ: Mapping[str, str] | None = None,
    *,
    instead: Mapping[str, str] | None = None,
    on_refresh: OnRefresh | None = None,
) -> ShiftSettings:
    """Read the `SHIFT_` variables; raise `ConfigurationError` naming what is missing.

    `instead` holds values that win over the variables of their names.
    """
    env = environment(environ, instead)
    return ShiftSettings(
        credentials=_shift_credentials(env, on_refresh),
        base_url=check_base_url(env.needed("SHIFT_BASE_URL")),
    )


def _moveworks_credentials(env: Environment) -> MoveworksCredentials:
    key, client_id = env.get("MOVEWORKS_API_KEY"), env.get("MOVEWORKS_CLIENT_ID")
    if key and client_id:
        raise ConfigurationError("set MOVEWORKS_API_KEY or MOVEWORKS_CLIENT_ID, not both")
    if key:
        return ApiKey(key)
    if not client_id:
        raise ConfigurationError(
            "no credentials: set MOVEWORKS_API_KEY,"
            " or MOVEWORKS_CLIENT_ID and MOVEWORKS_CLIENT_SECRET"
        )
    return ClientCredentials(client_id, env.needed("MOVEWORKS_CLIENT_SECRET"))


def _moveworks_base_url(env: Environment) -> str:
    url, region = env.get("MOVEWORKS_BASE_URL"), env.get("MOVEWORKS_REGION")
    if url and region:
        raise ConfigurationError("set MOVEWORKS_BASE_URL or MOVEWORKS_REGION, not both")
    if region and region.upper() not in Region.__members__:
        names = ", ".join(Region.__members__)
        raise ConfigurationError(f"MOVEWORKS_REGION is none of {names}")
    return check_base_url(url or Region[(region or "US").upper()])


def _shift_credentials(env: Environment, on_refresh: OnRefresh | None) -> ShiftCredentials:
    access, refresh = env.get("SHIFT_ACCESS_TOKEN"), env.get("SHIFT_REFRESH_TOKEN")
    if access and not refresh:
        return BearerToken(access)
    client_id, secret = env.needed("SHIFT_CLIENT_ID"), env.needed("SHIFT_CLIENT_SECRET")
    if not refresh:
        return AppCredentials(client_id, secret)
    if on_refresh is None:
        raise ConfigurationError(
            "SHIFT_REFRESH_TOKEN needs on_refresh, which stores the pair that replaces it: pass one"
            " to ShiftClient.from_env, or unset it and use SHIFT_ACCESS_TOKEN"
        )
    return OAuthTokens(
        client_id=client_id,
        client_secret=secret,
        refresh_token=refresh,
        access_token=access,
        on_refresh=on_refresh,
    )


def environment(
    environ: Mapping[str, str] | None = None, instead: Mapping[str, str] | None = None
) -> Environment:
    """The variables, those of this process or the ones given, with what is to win over them."""
    return Environment({**(os.environ if environ is None else environ), **(instead or {})})


@frozen
class Environment:
    """Environment variables; a blank one counts as absent."""

    values: Mapping[str, str]

    def get(self, name: str) -> str | None:
        """Its value; None: it is not set."""
        return self.values.get(name, "").strip() or None

    def needed(self, name: str) -> str:
        """Its value, or `ConfigurationError`."""
        value = self.get(name)
        if value is None:
            raise ConfigurationError(f"{name} is not set")
        return value

    def number(
        self, name: str, kind: Callable[[str], Any], default: float, most: float = 1e9
    ) -> Any:
        """Its value as a number above 0, or `ConfigurationError` for what is none."""
        text = self.get(name)
        try:
            value = default if text is None else kind(text)
        except ValueError:
            raise ConfigurationError(f"{name} must be a number, not {text!r}") from None
        if not 0 < value <= most:
            raise ConfigurationError(f"{name} must be above 0 and at most {most:g}, not {text!r}")
        return value
