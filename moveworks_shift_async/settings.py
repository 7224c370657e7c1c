"""Frozen settings and their defaults; the only reader of environment variables."""

from __future__ import annotations

import enum
import ipaddress
import math
import os
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Literal
from urllib.parse import SplitResult, urlsplit
from urllib.request import getproxies, proxy_bypass

from attrs import Attribute, field, frozen, validators

from .errors import ConfigurationError

_positive = validators.gt(0.0)


def _secret(instance: Any, attribute: Attribute[str], value: object) -> None:
    """Refuse what cannot be a credential, without ever quoting it."""
    if (
        not isinstance(value, str)
        or not value
        or value != value.strip()
        or not (value.isascii() and value.isprintable())
    ):
        raise ConfigurationError(
            f"{type(instance).__name__}: {attribute.name} must be a non-empty ASCII string"
            " without spaces around it"
        )


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

    key: str = field(repr=False, validator=_secret)


@frozen
class ClientCredentials:
    """A Moveworks OAuth 2.0 client. Tokens are fetched and refreshed for you."""

    client_id: str = field(validator=_secret)
    client_secret: str = field(repr=False, validator=_secret)
    #: How the token request is written; the vendor documents both.
    token_request: Literal["form", "json"] = field(
        default="form", kw_only=True, eq=False, validator=validators.in_(("form", "json"))
    )


@frozen
class AppCredentials:
    """A SHIFT application. The API takes both values in the query of each request."""

    client_id: str = field(validator=_secret)
    client_secret: str = field(repr=False, validator=_secret)


@frozen
class BearerToken:
    """A SHIFT user's access token that somebody else keeps fresh."""

    token: str = field(repr=False, validator=_secret)


@frozen(kw_only=True)
class OAuthTokens:
    """A SHIFT user's token pair, refreshed for you. Each refresh ends the old refresh token."""

    client_id: str = field(validator=_secret)
    client_secret: str = field(repr=False, validator=_secret)
    refresh_token: str = field(repr=False, validator=_secret)
    #: None: a refresh comes before the first call.
    access_token: str | None = field(
        default=None, repr=False, validator=validators.optional(_secret)
    )
    #: Seconds the access token still lives; None: it is used until the server refuses it.
    expires_in: float | None = None
    #: Called with (access_token, refresh_token, expires_in) before the new pair is used, so that
    #: it can be stored. It may be async. If it raises, the pair is kept and offered again.
    on_refresh: Callable[[str, str, float | None], Awaitable[None] | None] | None = field(
        default=None, repr=False
    )


MoveworksCredentials = ApiKey | ClientCredentials
ShiftCredentials = AppCredentials | BearerToken | OAuthTokens


@frozen(kw_only=True)
class RateLimit:
    """What the organisation may send, and the part of it that this process takes."""

    #: Requests in a window. Moveworks documents 120 a minute for a whole organisation.
    requests: int = field(default=120, validator=[validators.instance_of(int), validators.gt(0)])
    #: Length of the window in seconds.
    per: float = field(default=60.0, validator=[_positive, validators.lt(math.inf)])
    #: The part of `requests` to use, above 0 and at most 1; the rest is left to others.
    share: float = field(default=1.0, validator=[_positive, validators.le(1)])

    @property
    def budget(self) -> int:
        """Requests that may start in a window, at least 1."""
        return max(1, math.floor(self.requests * self.share))


@frozen(kw_only=True)
class Timeouts:
    """Bounds in seconds. Waiting for the rate limit counts against none of them."""

    #: To open a connection, TLS included.
    connect: float = field(default=10.0, validator=_positive)
    #: One request, from its start to the last byte of its answer.
    total: float = field(default=60.0, validator=_positive)
    #: How long closing the client waits for calls in flight before it cuts them.
    close: float = field(default=10.0, validator=validators.ge(0))


_HOST = re.compile(r"[\w.:%-]+")
_DEFAULT_PORT = {"https": ":443", "http": ":80"}


def check_base_url(text: str) -> str:
    """Return the base URL without its last slash, or raise `ConfigurationError`.

    https is required, but for loopback hosts; a query, a fragment or a password is refused.
    """
    try:
        url = urlsplit(str(text).strip())
        fault = _url_fault(url)
    except ValueError:
        raise ConfigurationError("base_url is no URL; give one like https://host") from None
    if fault:
        raise ConfigurationError(f"base_url {fault}")
    # One organisation must not get two gates for the way its host is spelled.
    return f"{url.scheme}://{url.netloc.lower().removesuffix(_DEFAULT_PORT[url.scheme])}{url.path}".rstrip(
        "/"
    )


def proxy_from_env(base_url: str) -> str | None:
    """The proxy that `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` name for this URL, if any."""
    url = urlsplit(base_url)
    if _is_loopback(url.hostname or "") or proxy_bypass(url.netloc):
        return None
    return getproxies().get(url.scheme)


def _url_fault(url: SplitResult) -> str | None:
    if url.scheme not in _DEFAULT_PORT or not _HOST.fullmatch(url.hostname or "") or url.port == 0:
        return "must be a full URL like https://api.moveworks.ai"
    if url.scheme == "http" and not _is_loopback(url.hostname or ""):
        return f"must use https: http is for loopback only, not for {url.hostname}"
    if "@" in url.netloc or url.query or url.fragment:
        return "must not hold a user, a password, a query or a fragment"
    if url.path.rstrip("/").endswith(("/v1", "/v1beta1")):
        return "must end before the API's own path: leave /rest/v1 or /v1 out"
    return None


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@frozen(kw_only=True)
class MoveworksSettings:
    """What `MoveworksClient.from_env` found."""

    credentials: MoveworksCredentials
    base_url: str
    rate_limit: RateLimit


@frozen(kw_only=True)
class ShiftSettings:
    """What `ShiftClient.from_env` found."""

    credentials: ShiftCredentials
    base_url: str


def moveworks_from_env(
    environ: Mapping[str, str] | None = None, *, instead: Mapping[str, str] | None = None
) -> MoveworksSettings:
    """Read the `MOVEWORKS_` variables; raise `ConfigurationError` naming what is missing.

    `instead` holds values that win over the variables of their names.
    """
    env = _environment(environ, instead)
    return MoveworksSettings(
        credentials=_moveworks_credentials(env),
        base_url=_moveworks_base_url(env),
        rate_limit=RateLimit(
            requests=env.number("MOVEWORKS_REQUESTS_PER_MINUTE", int, 120),
            share=env.number("MOVEWORKS_SHARE", float, 1.0, most=1.0),
        ),
    )


def shift_from_env(
    environ: Mapping[str, str] | None = None, *, instead: Mapping[str, str] | None = None
) -> ShiftSettings:
    """Read the `SHIFT_` variables; raise `ConfigurationError` naming what is missing.

    `instead` holds values that win over the variables of their names.
    """
    env = _environment(environ, instead)
    return ShiftSettings(
        credentials=_shift_credentials(env),
        base_url=check_base_url(env.needed("SHIFT_BASE_URL")),
    )


def _moveworks_credentials(env: _Environment) -> MoveworksCredentials:
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


def _moveworks_base_url(env: _Environment) -> str:
    url, region = env.get("MOVEWORKS_BASE_URL"), env.get("MOVEWORKS_REGION")
    if url and region:
        raise ConfigurationError("set MOVEWORKS_BASE_URL or MOVEWORKS_REGION, not both")
    if region and region.upper() not in Region.__members__:
        names = ", ".join(Region.__members__)
        raise ConfigurationError(f"MOVEWORKS_REGION is none of {names}")
    return check_base_url(url or Region[(region or "US").upper()])


def _shift_credentials(env: _Environment) -> ShiftCredentials:
    access, refresh = env.get("SHIFT_ACCESS_TOKEN"), env.get("SHIFT_REFRESH_TOKEN")
    if access and not refresh:
        return BearerToken(access)
    client_id, secret = env.needed("SHIFT_CLIENT_ID"), env.needed("SHIFT_CLIENT_SECRET")
    if not refresh:
        return AppCredentials(client_id, secret)
    return OAuthTokens(
        client_id=client_id, client_secret=secret, refresh_token=refresh, access_token=access
    )


def _environment(
    environ: Mapping[str, str] | None, instead: Mapping[str, str] | None
) -> _Environment:
    return _Environment({**(os.environ if environ is None else environ), **(instead or {})})


@frozen
class _Environment:
    """Environment variables; a blank one counts as absent."""

    values: Mapping[str, str]

    def get(self, name: str) -> str | None:
        return self.values.get(name, "").strip() or None

    def needed(self, name: str) -> str:
        value = self.get(name)
        if value is None:
            raise ConfigurationError(f"{name} is not set")
        return value

    def number(
        self, name: str, kind: Callable[[str], Any], default: float, most: float = 1e9
    ) -> Any:
        text = self.get(name)
        try:
            value = default if text is None else kind(text)
        except ValueError:
            raise ConfigurationError(f"{name} must be a number, not {text!r}") from None
        if not 0 < value <= most:
            raise ConfigurationError(f"{name} must be above 0 and at most {most:g}, not {text!r}")
        return value
