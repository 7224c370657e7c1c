"""Settings: what is valid, what the environment may say, and that no secret is shown."""

from __future__ import annotations

import math
import sys
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from moveworks_shift_async import settings
from moveworks_shift_async.errors import ConfigurationError
from moveworks_shift_async.retry import RetryPolicy
from moveworks_shift_async.settings import (
    ApiKey,
    AppCredentials,
    BearerToken,
    ClientCredentials,
    MoveworksSettings,
    OAuthTokens,
    RateLimit,
    Region,
    ShiftSettings,
    Timeouts,
    moveworks_from_env,
    named_proxy,
    proxy_from_env,
    shift_from_env,
)
from moveworks_shift_async.validators import check_base_url

SECRET = "s3cr3t-v4lue"
KEY = {"MOVEWORKS_API_KEY": SECRET}
CLIENT = {"MOVEWORKS_CLIENT_ID": "an-id", "MOVEWORKS_CLIENT_SECRET": SECRET}
SHIFT_URL = {"SHIFT_BASE_URL": "https://shift.example"}
SHIFT_APP = {"SHIFT_CLIENT_ID": "an-id", "SHIFT_CLIENT_SECRET": SECRET}


def store(access: str, refresh: str, expires_in: float | None) -> None:
    """Keep a new pair."""


TOKENS = OAuthTokens(
    client_id="an-id",
    client_secret=SECRET,
    refresh_token=SECRET,
    access_token=SECRET,
    on_refresh=lambda access, refresh, expires_in: None,
)

MakeCredentials = Callable[[str], object]
#: Each place for a secret or an id, by the name that its error must have.
PLACES: dict[str, MakeCredentials] = {
    "ApiKey: key": ApiKey,
    "ClientCredentials: client_id": lambda text: ClientCredentials(text, SECRET),
    "ClientCredentials: client_secret": lambda text: ClientCredentials("an-id", text),
    "AppCredentials: client_id": lambda text: AppCredentials(text, SECRET),
    "AppCredentials: client_secret": lambda text: AppCredentials("an-id", text),
    "BearerToken: token": BearerToken,
    "OAuthTokens: client_id": lambda text: OAuthTokens(
        client_id=text, client_secret=SECRET, refresh_token=SECRET
    ),
    "OAuthTokens: client_secret": lambda text: OAuthTokens(
        client_id="an-id", client_secret=text, refresh_token=SECRET
    ),
    "OAuthTokens: refresh_token": lambda text: OAuthTokens(
        client_id="an-id", client_secret=SECRET, refresh_token=text
    ),
    "OAuthTokens: access_token": lambda text: OAuthTokens(
        client_id="an-id", client_secret=SECRET, refresh_token=SECRET, access_token=text
    ),
}


@pytest.mark.parametrize(
    "value",
    [
        ApiKey(SECRET),
        ClientCredentials("an-id", SECRET),
        AppCredentials("an-id", SECRET),
        BearerToken(SECRET),
        TOKENS,
        MoveworksSettings(credentials=ApiKey(SECRET), base_url=Region.US, rate_limit=RateLimit()),
        ShiftSettings(credentials=TOKENS, base_url="https://shift.example"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_no_repr_shows_a_secret(value: object) -> None:
    """Keys, secrets and tokens are in no repr, nor are the callbacks that get them."""
    assert SECRET not in repr(value)
    assert SECRET not in str(value)
    assert "lambda" not in repr(value)


@pytest.mark.parametrize("name", PLACES)
@pytest.mark.parametrize("text", ["", " ", f" {SECRET}", f"{SECRET}\n", f"{SECRET}\u2013"])
def test_what_cannot_be_a_credential_is_refused(name: str, text: str) -> None:
    """Empty, padded and non-ASCII values are refused by name and never quoted."""
    with pytest.raises(ConfigurationError, match=name) as caught:
        PLACES[name](text)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("name", PLACES)
@pytest.mark.parametrize("between", ["\n", "\0", "\x7f"])
def test_a_credential_holds_no_control_character(name: str, between: str) -> None:
    """What no header can carry is refused here, not with a bare error at the first request."""
    with pytest.raises(ConfigurationError, match=name):
        PLACES[name](f"{SECRET}{between}{SECRET}")


def test_a_key_that_is_no_text_is_refused() -> None:
    """None, as from a missing variable, is no key."""
    with pytest.raises(ConfigurationError, match="ApiKey: key"):
        ApiKey(None)  # type: ignore[arg-type]


def test_the_token_request_is_a_form_or_json() -> None:
    """Both documented forms, and no other; the form does not make another credential."""
    form = ClientCredentials("an-id", SECRET)
    json = ClientCredentials("an-id", SECRET, token_request="json")
    assert (form.token_request, json.token_request) == ("form", "json")
    assert form == json
    assert hash(form) == hash(json)
    with pytest.raises(ValueError, match="token_request"):
        ClientCredentials("an-id", SECRET, token_request="xml")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("requests", "share", "budget"),
    [(120, 1.0, 120), (120, 0.5, 60), (120, 0.999, 119), (10, 0.01, 1), (1, 1.0, 1)],
)
def test_the_budget_is_the_share_and_at_least_one(requests: int, share: float, budget: int) -> None:
    """The share is rounded down, but one request a window is always left."""
    assert RateLimit(requests=requests, share=share).budget == budget


def test_the_default_limit_is_the_documented_one() -> None:
    """120 requests in 60 s, all of them."""
    assert RateLimit() == RateLimit(requests=120, per=60.0, share=1.0)


@pytest.mark.parametrize(
    "arguments",
    [
        {"requests": 0},
        {"requests": -1},
        {"requests": 1.5},
        {"per": 0},
        {"per": math.nan},
        {"share": 0},
        {"share": 1.01},
        {"share": math.nan},
    ],
)
def test_limits_that_cannot_be_are_refused(arguments: dict[str, int]) -> None:
    """Requests and seconds are above 0, the share is above 0 and at most 1."""
    with pytest.raises((ValueError, TypeError), match=next(iter(arguments))):
        RateLimit(**arguments)


@pytest.mark.parametrize("arguments", [{"connect": 0}, {"total": 0}, {"close": -1}])
def test_timeouts_that_cannot_be_are_refused(arguments: dict[str, float]) -> None:
    """A connection and a request need time; closing may need none."""
    with pytest.raises(ValueError, match=next(iter(arguments))):
        Timeouts(**arguments)
    assert Timeouts(close=0).close == 0
    assert Timeouts() == Timeouts(connect=10.0, total=60.0)


@pytest.mark.parametrize("region", Region)
def test_regions_are_valid_base_urls(region: Region) -> None:
    """Each constant is an https URL that needs no change."""
    assert check_base_url(region) == region.value
    assert region.value.startswith("https://api")


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("https://api.example.com", "https://api.example.com"),
        ("https://api.example.com/", "https://api.example.com"),
        (" https://api.example.com// \n", "https://api.example.com"),
        ("https://api.example.com:8443/prefix/", "https://api.example.com:8443/prefix"),
        ("HTTPS://api.example.com", "https://api.example.com"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("http://127.9.9.9", "http://127.9.9.9"),
        ("http://[::1]:8080/", "http://[::1]:8080"),
        ("http://localhost:8080", "http://localhost:8080"),
        ("http://LOCALHOST", "http://localhost"),
        ("https://localhost", "https://localhost"),
    ],
)
def test_base_urls_are_cleaned(text: str, url: str) -> None:
    """https anywhere and http on loopback pass; spaces and the last slash go."""
    assert check_base_url(text) == url


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("http://api.example.com", "must use https"),
        ("http://localhost.example.com", "must use https"),
        ("http://10.0.0.1", "must use https"),
        ("http://[::2]", "must use https"),
        ("ftp://127.0.0.1", "full URL"),
        ("api.moveworks.ai", "full URL"),
        ("", "full URL"),
        ("https://", "full URL"),
        ("https:///path", "full URL"),
        ("https://host:0", "full URL"),
        ("https://user@host", "user"),
        (f"https://user:{SECRET}@host", "password"),
        (f"https://:{SECRET}@host", "password"),
        (f"https://host?client_secret={SECRET}", "query"),
        (f"https://host/#{SECRET}", "fragment"),
        ("https://host/rest/v1", "leave /rest/v1 or /v1 out"),
        ("https://host/rest/v1/", "leave /rest/v1 or /v1 out"),
        ("https://host/rest/v1beta1", "leave /rest/v1 or /v1 out"),
        ("https://host/v1", "leave /rest/v1 or /v1 out"),
        ("https://[::1", "no URL"),
        ("https://host:99999", "no URL"),
        (f"https://host:{SECRET}", "no URL"),
    ],
)
def test_other_base_urls_are_refused(text: str, words: str) -> None:
    """What would send a secret in the clear or to a wrong path is refused, and not quoted."""
    with pytest.raises(ConfigurationError, match=words) as caught:
        check_base_url(text)
    assert str(caught.value).startswith("base_url ")
    assert SECRET not in str(caught.value)


def test_a_key_is_enough() -> None:
    """The key alone gives the US host and the documented limit."""
    assert moveworks_from_env(KEY) == MoveworksSettings(
        credentials=ApiKey(SECRET), base_url=Region.US.value, rate_limit=RateLimit()
    )


def test_client_credentials_come_in_pairs() -> None:
    """Id and secret together make client credentials."""
    found = moveworks_from_env(CLIENT).credentials
    assert isinstance(found, ClientCredentials)
    assert (found.client_id, found.client_secret) == ("an-id", SECRET)


@pytest.mark.parametrize(
    ("extra", "url"),
    [
        ({"MOVEWORKS_REGION": "EU"}, Region.EU.value),
        ({"MOVEWORKS_REGION": " us_prod3 "}, Region.US_PROD3.value),
        ({"MOVEWORKS_BASE_URL": "https://api.example.com/"}, "https://api.example.com"),
        ({"MOVEWORKS_BASE_URL": "  ", "MOVEWORKS_REGION": "UK"}, Region.UK.value),
    ],
)
def test_the_host_is_a_region_or_a_url(extra: Mapping[str, str], url: str) -> None:
    """A region by name in any case, or free text; a blank variable counts as absent."""
    assert moveworks_from_env({**KEY, **extra}).base_url == url


def test_the_limit_comes_from_the_environment() -> None:
    """Requests a minute and the share are read as numbers."""
    found = moveworks_from_env(
        {**KEY, "MOVEWORKS_REQUESTS_PER_MINUTE": " 30 ", "MOVEWORKS_SHARE": "0.5"}
    )
    assert found.rate_limit == RateLimit(requests=30, per=60.0, share=0.5)
    assert found.rate_limit.budget == 15


@pytest.mark.parametrize(
    ("environ", "names"),
    [
        ({}, ["MOVEWORKS_API_KEY", "MOVEWORKS_CLIENT_ID", "MOVEWORKS_CLIENT_SECRET"]),
        ({"MOVEWORKS_API_KEY": " "}, ["MOVEWORKS_API_KEY"]),
        ({"MOVEWORKS_CLIENT_SECRET": SECRET}, ["MOVEWORKS_CLIENT_ID"]),
        ({"MOVEWORKS_CLIENT_ID": "an-id"}, ["MOVEWORKS_CLIENT_SECRET"]),
        ({**KEY, **CLIENT}, ["MOVEWORKS_API_KEY", "MOVEWORKS_CLIENT_ID", "not both"]),
        (
            {**KEY, "MOVEWORKS_BASE_URL": "https://h", "MOVEWORKS_REGION": "EU"},
            ["MOVEWORKS_BASE_URL", "MOVEWORKS_REGION", "not both"],
        ),
        ({**KEY, "MOVEWORKS_REGION": "MARS"}, ["MOVEWORKS_REGION", "US, EU, CANADA"]),
        ({**KEY, "MOVEWORKS_BASE_URL": "http://api.example.com"}, ["base_url", "https"]),
        *(
            ({**KEY, name: text}, [name])
            for name in ("MOVEWORKS_REQUESTS_PER_MINUTE", "MOVEWORKS_SHARE")
            for text in ("many", "0", "-1", "nan", "inf")
        ),
        ({**KEY, "MOVEWORKS_REQUESTS_PER_MINUTE": "1.5"}, ["MOVEWORKS_REQUESTS_PER_MINUTE"]),
        ({**KEY, "MOVEWORKS_SHARE": "1.5"}, ["MOVEWORKS_SHARE"]),
    ],
)
def test_moveworks_variables_at_fault_are_named(
    environ: Mapping[str, str], names: list[str]
) -> None:
    """Whatever is missing or contradicts is named in the error, and no secret is quoted."""
    with pytest.raises(ConfigurationError) as caught:
        moveworks_from_env(environ)
    assert all(name in str(caught.value) for name in names)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("environ", "credentials"),
    [
        (SHIFT_APP, AppCredentials("an-id", SECRET)),
        ({"SHIFT_ACCESS_TOKEN": SECRET}, BearerToken(SECRET)),
        ({**SHIFT_APP, "SHIFT_ACCESS_TOKEN": SECRET}, BearerToken(SECRET)),
        (
            {**SHIFT_APP, "SHIFT_REFRESH_TOKEN": "r"},
            OAuthTokens(
                client_id="an-id", client_secret=SECRET, refresh_token="r", on_refresh=store
            ),
        ),
        (
            {**SHIFT_APP, "SHIFT_REFRESH_TOKEN": "r", "SHIFT_ACCESS_TOKEN": "a"},
            OAuthTokens(
                client_id="an-id",
                client_secret=SECRET,
                refresh_token="r",
                access_token="a",
                on_refresh=store,
            ),
        ),
    ],
)
def test_shift_credentials_are_what_is_there(
    environ: Mapping[str, str], credentials: settings.ShiftCredentials
) -> None:
    """An application, a token, or a pair that is refreshed, by the variables that are set."""
    found = shift_from_env({**SHIFT_URL, **environ}, on_refresh=store)
    assert found == ShiftSettings(credentials=credentials, base_url="https://shift.example")


@pytest.mark.parametrize(
    ("environ", "name"),
    [
        (SHIFT_APP, "SHIFT_BASE_URL"),
        (SHIFT_URL, "SHIFT_CLIENT_ID"),
        ({**SHIFT_URL, "SHIFT_CLIENT_ID": "an-id"}, "SHIFT_CLIENT_SECRET"),
        ({**SHIFT_URL, "SHIFT_REFRESH_TOKEN": SECRET}, "SHIFT_CLIENT_ID"),
        (
            {**SHIFT_URL, "SHIFT_REFRESH_TOKEN": SECRET, "SHIFT_CLIENT_ID": "an-id"},
            "SHIFT_CLIENT_SECRET",
        ),
    ],
)
def test_shift_variables_at_fault_are_named(environ: Mapping[str, str], name: str) -> None:
    """There is no default host, and what is missing is named."""
    with pytest.raises(ConfigurationError, match=name) as caught:
        shift_from_env(environ)
    assert SECRET not in str(caught.value)


def test_the_real_environment_is_read_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an argument the process's own variables count."""
    for name in ("API_KEY", "CLIENT_ID", "BASE_URL", "REGION", "REQUESTS_PER_MINUTE", "SHARE"):
        monkeypatch.delenv(f"MOVEWORKS_{name}", raising=False)
    for name in ("ACCESS_TOKEN", "REFRESH_TOKEN"):
        monkeypatch.delenv(f"SHIFT_{name}", raising=False)
    key = uuid.uuid4().hex
    monkeypatch.setenv("MOVEWORKS_API_KEY", key)
    for name, value in {**SHIFT_URL, **SHIFT_APP}.items():
        monkeypatch.setenv(name, value)
    assert moveworks_from_env().credentials == ApiKey(key)
    assert shift_from_env().credentials == AppCredentials("an-id", SECRET)


@pytest.fixture
def proxies(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Set the proxy variables to these and no others."""

    def put(**variables: str) -> None:
        for name in ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY", "REQUEST_METHOD"):
            monkeypatch.delenv(name, raising=False)
            monkeypatch.delenv(name.lower(), raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return put


def test_the_environments_proxy_is_used(proxies: Callable[..., None]) -> None:
    """`HTTPS_PROXY` is for https URLs; without it there is none."""
    proxies()
    assert proxy_from_env("https://api.example.com") is None
    proxies(HTTP_PROXY="http://other:1")
    assert proxy_from_env("https://api.example.com") is None
    proxies(HTTPS_PROXY="http://proxy:3128")
    assert proxy_from_env("https://api.example.com") == "http://proxy:3128"
    proxies(https_proxy="http://lower:3128")
    assert proxy_from_env("https://api.example.com") == "http://lower:3128"


def test_a_proxy_without_a_scheme_is_one_of_http(proxies: Callable[..., None]) -> None:
    """As for curl, and as companies hand it out."""
    proxies(HTTPS_PROXY="proxy.example.com:3128")
    assert proxy_from_env("https://api.example.com") == "http://proxy.example.com:3128"


@pytest.mark.parametrize(
    "proxy",
    [
        "socks5://u:s3cr3t@proxy:1080",
        "http://u:s3cr3t@proxy:port",
        "http://u:12/s3cr3t@proxy:3128",
        "http://u:12#s3cr3t@proxy:3128",
        "http://:3128",
        "http://[::1",
        "http://proxy:0",
    ],
)
def test_a_proxy_that_cannot_be_used_is_refused(proxies: Callable[..., None], proxy: str) -> None:
    """It is said which setting is wrong, and nothing of it is shown; a session has its own."""
    proxies(HTTPS_PROXY=proxy)
    with pytest.raises(ConfigurationError, match="the proxy in the environment is no URL") as told:
        proxy_from_env("https://api.example.com")
    assert "s3cr3t" not in str(told.value)
    assert named_proxy("https://api.example.com") == proxy


@pytest.mark.parametrize(
    ("no_proxy", "used"),
    [
        ("api.example.com", False),
        (".example.com", False),
        ("example.com", False),
        ("api.example.com:8443", False),
        ("*", False),
        ("other.com", True),
        ("api.example.com:1", True),
    ],
)
def test_no_proxy_exempts_hosts(proxies: Callable[..., None], no_proxy: str, used: bool) -> None:
    """Hosts, domains, hosts with a port and a star are exempt."""
    proxies(HTTPS_PROXY="http://proxy:3128", NO_PROXY=no_proxy)
    found = proxy_from_env("https://api.example.com:8443")
    assert found == ("http://proxy:3128" if used else None)


@pytest.mark.parametrize("host", ["127.0.0.1:80", "127.3.2.1", "[::1]:80", "localhost"])
def test_loopback_is_never_proxied(proxies: Callable[..., None], host: str) -> None:
    """What stays on this machine goes through no proxy."""
    proxies(HTTPS_PROXY="http://proxy:1", HTTP_PROXY="http://proxy:1")
    assert proxy_from_env(f"http://{host}") is None
    assert proxy_from_env(f"https://{host}") is None


def test_a_refresh_token_needs_somebody_who_stores_the_next() -> None:
    """The first refresh would end the token in the variable and lose the new one."""
    environ = {**SHIFT_URL, **SHIFT_APP, "SHIFT_REFRESH_TOKEN": "r"}
    with pytest.raises(ConfigurationError, match=r"SHIFT_REFRESH_TOKEN.*on_refresh"):
        shift_from_env(environ)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: RateLimit(requests=0), "RateLimit: requests must be a whole number at least 1"),
        (lambda: RateLimit(requests=1.5), "whole number"),  # type: ignore[arg-type]
        (lambda: RateLimit(share=2), "above 0 and at most 1, not 2"),
        (lambda: RateLimit(per=math.inf), "per must be a number above 0"),
        (lambda: RateLimit(per=True), "per must be a number"),
        (lambda: Timeouts(total=None), "Timeouts: total"),  # type: ignore[arg-type]
        (lambda: RetryPolicy(attempts=0), "RetryPolicy: attempts"),
        (lambda: RetryPolicy(on_unknown="maybe"), "one of report, resend"),  # type: ignore[arg-type]
        (lambda: ClientCredentials("i", "s", token_request="xml"), "one of form, json"),  # type: ignore[arg-type]
    ],
)
def test_settings_that_cannot_work_say_what_and_where(
    make: Callable[[], object], words: str
) -> None:
    """One typed error that names the setting, the bound and the value."""
    with pytest.raises(ConfigurationError, match=words):
        make()


def test_a_credential_stays_itself_while_its_secret_is_replaced() -> None:
    """The key or token, else the client's id, says whose budget is spent."""
    assert settings.identity(ApiKey("k")) == "k"
    assert settings.identity(BearerToken("t")) == "t"
    assert settings.identity(ClientCredentials("an-id", "s1")) == "an-id"
    assert settings.identity(ClientCredentials("an-id", "s2")) == "an-id"
    assert settings.identity(AppCredentials("an-id", "s")) == "an-id"
    assert settings.identity(TOKENS) == "an-id"


def test_the_state_directory_is_where_the_platform_has_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Named by the user, else where each system keeps such files; a relative name is ignored."""
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    found = {}
    for platform in ("linux", "darwin", "win32"):
        monkeypatch.setattr(sys, "platform", platform)
        found[platform] = settings.state_directory({"LOCALAPPDATA": "/app", "XDG_STATE_HOME": "x"})
    assert found == {
        "linux": tmp_path / ".local/state",
        "darwin": tmp_path / "Library/Application Support",
        "win32": Path("/app"),
    }
    assert settings.state_directory({"XDG_STATE_HOME": "/state"}) == Path("/state")


def test_a_user_without_a_home_has_no_state_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python says so with a bare RuntimeError."""

    def nowhere() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", nowhere)
    with pytest.raises(ConfigurationError, match="no home directory"):
        settings.state_directory({})
