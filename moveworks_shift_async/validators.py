"""Checks of settings and of what users bring: each raises `ConfigurationError` with the reason."""

from __future__ import annotations

import ipaddress
import math
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import SplitResult, urlsplit

from attrs import Attribute

from .errors import ConfigurationError

Validator = Callable[[Any, "Attribute[Any]", Any], None]


def number(
    *, above: float = -math.inf, least: float = -math.inf, most: float = math.inf
) -> Validator:
    """A validator: a finite number above `above`, at least `least`, at most `most`."""

    def check(instance: Any, attribute: Attribute[Any], value: Any) -> None:
        real = isinstance(value, (int, float)) and not isinstance(value, bool)
        whole = attribute.type not in ("int", int) or isinstance(value, int)
        if not (real and whole and above < value and least <= value <= most and value < math.inf):
            kind = "a whole number" if attribute.type in ("int", int) else "a number"
            bounds = [f"above {above:g}"] if above > -math.inf else []
            bounds += [f"at least {least:g}"] if least > -math.inf else []
            bounds += [f"at most {most:g}"] if most < math.inf else []
            raise ConfigurationError(
                f"{type(instance).__name__}: {attribute.name} must be {kind}"
                f" {' and '.join(bounds)}, not {value!r}"
            )

    return check


def one_of(*choices: str) -> Validator:
    """A validator: one of these words."""

    def check(instance: Any, attribute: Attribute[Any], value: Any) -> None:
        if value not in choices:
            raise ConfigurationError(
                f"{type(instance).__name__}: {attribute.name} must be one of {', '.join(choices)}"
            )

    return check


def credential(instance: Any, attribute: Attribute[Any], value: object) -> None:
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


def check_methods(piece: object, protocol: type, advice: str = "") -> None:
    """Raise `ConfigurationError` unless a piece of the caller's has the methods of the protocol."""
    methods = [name for name in vars(protocol) if not name.startswith("_")]
    missing = [name for name in methods if not callable(getattr(piece, name, None))]
    if missing:
        kind = protocol.__name__.lower()
        raise ConfigurationError(
            f"{kind}: {type(piece).__name__} has no {' and no '.join(missing)};"
            f" {protocol.__module__}.{protocol.__name__} says what a {kind} must have{advice}"
        )


_HOST = r"[\w.:%-]+"
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
    place = url.netloc.lower().removesuffix(_DEFAULT_PORT[url.scheme])
    return f"{url.scheme}://{place}{url.path}".rstrip("/")


def _url_fault(url: SplitResult) -> str | None:
    if (
        url.scheme not in _DEFAULT_PORT
        or not re.fullmatch(_HOST, url.hostname or "")
        or url.port == 0
    ):
        return "must be a full URL like https://api.moveworks.ai"
    if url.scheme == "http" and not is_loopback(url.hostname or ""):
        return f"must use https: http is for loopback only, not for {url.hostname}"
    if "@" in url.netloc or url.query or url.fragment:
        return "must not hold a user, a password, a query or a fragment"
    if url.path.rstrip("/").endswith(("/v1", "/v1beta1")):
        return "must end before the API's own path: leave /rest/v1 or /v1 out"
    return None


def proxy_url(named: str) -> str:
    """The URL of a proxy as the environment names it, or `ConfigurationError`, which shows nothing
    of it: it may hold a password. Without a scheme it is one of HTTP, as it is for curl.
    """
    text = named if "://" in named else f"http://{named}"
    try:
        url = urlsplit(text)
        usable = url.scheme in _DEFAULT_PORT and re.fullmatch(_HOST, url.hostname or "")
        # A password with a slash in it would make a host of the user.
        if usable and url.port != 0 and url.path in ("", "/") and not (url.query or url.fragment):
            return text
    except ValueError:
        pass  # the port is none
    raise ConfigurationError(
        "the proxy in the environment is no URL of an HTTP proxy, such as http://host:3128; in its"
        " password, special characters are percent-encoded"
    )


def is_loopback(host: str) -> bool:
    """Is this host this machine?"""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
