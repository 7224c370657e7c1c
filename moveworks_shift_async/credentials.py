"""From credentials to what a request carries: which token requests each kind of them makes."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from functools import partial

from attrs import define, field

from .attempt import Exchange
from .clock import Clock
from .errors import BadRequest, ConfigurationError, MoveworksError, Outcome, TokenUnavailable
from .settings import (
    ApiKey,
    AppCredentials,
    BearerToken,
    ClientCredentials,
    MoveworksCredentials,
    OAuthTokens,
    ShiftCredentials,
    TokenForm,
)
from .tokens import (
    FAILURE_PAUSE,
    Authorizer,
    RequestAuth,
    StaticAuthorizer,
    TokenManager,
    bearer,
)
from .wire import moveworks
from .wire.token import Token

# What a server may answer that reads another form: RFC 9110, sections 15.5.1 and 15.5.16. Stand-ins
# made from the vendor's OpenAPI file say 400 where it names no 415.
_UNREAD = 415
_OF_THE_FORM = (400, _UNREAD)


def authorizer_of(
    credentials: MoveworksCredentials | ShiftCredentials,
    exchange: Exchange,
    throttle_pause: float,
    clock: Clock,
) -> Authorizer:
    """Where requests with these credentials get what lets them in.

    `throttle_pause` is the seconds that a 429 without `Retry-After` keeps everybody from asking.
    """
    match credentials:
        case ApiKey(token) | BearerToken(token):
            return StaticAuthorizer(bearer(token))
        case AppCredentials(client_id, client_secret):
            query = {"client_id": client_id, "client_secret": client_secret}
            return StaticAuthorizer(RequestAuth(query=query))
        case ClientCredentials():
            tokens = ClientTokens(credentials.token_request, partial(_fetch, credentials, exchange))
            return TokenManager(tokens.fetch, throttle_pause, clock=clock)
        case OAuthTokens():
            rotation = Rotation(credentials, partial(_refresh, credentials, exchange))
            manager = TokenManager(rotation.fetch, throttle_pause, rotates=True, clock=clock)
            if credentials.access_token is not None:
                life = credentials.expires_in
                manager.start_with(Token(access_token=credentials.access_token, expires_in=life))
            return manager
        case _:
            raise ConfigurationError(f"not credentials: {type(credentials).__name__}")


async def _fetch(credentials: ClientCredentials, exchange: Exchange, form: TokenForm) -> Token:
    return await exchange.send(moveworks.token_request(credentials, form), moveworks.parse_token)


async def _refresh(credentials: OAuthTokens, exchange: Exchange, refresh_token: str) -> Token:
    from .wire import shift  # noqa: PLC0415 - most programs never send to SHIFT

    return await exchange.send(
        shift.refresh_request(credentials, refresh_token), shift.parse_tokens
    )


@define(eq=False, repr=False)
class ClientTokens:
    """Asks for the tokens of an OAuth client, in the form that this server takes.

    The vendor's page shows a form, its OpenAPI file allows JSON only. A refusal that may be about
    the form is followed by one request in the other; nobody is told by either.
    """

    form: TokenForm
    #: Asks for a token, one request in that form.
    exchange: Callable[[TokenForm], Awaitable[Token]] = field(repr=False)

    async def fetch(self) -> Token:
        """The next token; the form that brought it is used ever after."""
        try:
            return await self.exchange(self.form)
        except BadRequest as error:
            if error.status not in _OF_THE_FORM:
                raise
            refused = error
        other: TokenForm = "json" if self.form == "form" else "form"
        try:
            token = await self.exchange(other)
        except BadRequest as error:
            # Refused in both: a 415 did not even read the request, so the other one says more.
            raise (error if refused.status == _UNREAD else refused) from None
        self.form = other
        return token


@define(eq=False, repr=False)
class Rotation:
    """Refreshes a SHIFT pair, where each refresh ends the old refresh token.

    A new pair is handed to `on_refresh` before it is used. A refresh whose answer was lost is not
    repeated: the server may have ended the old token already, and only the user can say.
    """

    credentials: OAuthTokens
    #: Trades a refresh token for a new pair, one request.
    exchange: Callable[[str], Awaitable[Token]] = field(repr=False)
    _pending: Token | None = field(default=None, repr=False)
    _current: str | None = field(default=None, repr=False)
    _lost: bool = False

    async def fetch(self) -> Token:
        """The next token. Raises `TokenUnavailable` for good once an answer was lost."""
        if self._lost:
            raise TokenUnavailable(
                "a token refresh ended without a usable answer, so the refresh token may be used"
                " up; authorise again and pass the new pair"
            )
        if self._pending is None:
            self._pending = await self._refresh()
        token = self._pending
        # RFC 6749, section 6: without a new refresh token the old one stays.
        refresh_token = token.refresh_token or self._refresh_token
        await self._hand_over(token, refresh_token)
        self._pending, self._current = None, refresh_token
        return token

    async def _refresh(self) -> Token:
        self._lost = True  # until an answer says otherwise, whatever ends the wait
        try:
            token = await self.exchange(self._refresh_token)
        except MoveworksError as error:
            self._lost = error.outcome is Outcome.UNKNOWN
            raise
        self._lost = False
        return token

    @property
    def _refresh_token(self) -> str:
        return self._current or self.credentials.refresh_token

    async def _hand_over(self, token: Token, refresh_token: str) -> None:
        callback = self.credentials.on_refresh
        if callback is None:
            return
        try:
            result = callback(token.access_token, refresh_token, token.expires_in)
            if inspect.isawaitable(result):
                await result
        except (Exception, asyncio.CancelledError) as error:
            task = asyncio.current_task()
            if isinstance(error, asyncio.CancelledError) and task and task.cancelling():
                raise  # it was us who were cancelled, not something inside the callback
            raise TokenUnavailable(
                f"on_refresh raised {type(error).__name__}; the new pair is kept and offered again",
                retry_after=FAILURE_PAUSE,
            ) from error
