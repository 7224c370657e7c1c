"""GET /rest/v1/auth/test."""

from __future__ import annotations

from attrs import define

from ..call import Call
from ..session import SessionManager
from ..wire import moveworks


@define(eq=False, repr=False)
class AuthEndpoint:
    """`client.auth`."""

    _session: SessionManager

    async def test(self, *, once: bool = False) -> str:
        """Check the credential; return the vendor's text. Nobody is told anything.

        `once` asks one time instead of as the retry policy says. Raises `NotAuthenticated` if the
        credential is refused, after one try with a new token, and `TokenUnavailable` if no token is
        to be had: its `cause` says whether an OAuth client was refused.
        """
        return await self._session.call(
            moveworks.auth_test_request,
            lambda response, _: moveworks.parse_auth_test(response),
            call=Call(once=once),
        )
