"""GET /rest/v1/auth/test."""

from __future__ import annotations

from attrs import define

from ..session import SessionManager
from ..wire import moveworks


@define(eq=False, repr=False)
class AuthEndpoint:
    """`client.auth`."""

    _session: SessionManager

    async def test(self) -> str:
        """Check the credential; return the vendor's text. Nobody is told anything.

        Raises `NotAuthenticated` if it is refused, after one try with a new token.
        """
        return await self._session.call(
            moveworks.auth_test_request,
            lambda response, _: moveworks.parse_auth_test(response),
            harmless=True,
        )
