"""A token out of whatever the vendor sent."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from moveworks_shift_async.errors import BadResponse
from moveworks_shift_async.wire.token import Token

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8
)
BODIES = st.dictionaries(st.text(), JSON) | st.fixed_dictionaries(
    {}, optional={"access_token": JSON, "expires_in": JSON, "refresh_token": JSON, "scope": JSON}
)


@given(BODIES)
@example({"access_token": "t", "expires_in": 10**400})
@example({"access_token": "t", "expires_in": "9" * 5000})
def test_any_body_is_a_token_or_a_bad_response(body: dict[str, object]) -> None:
    """Arbitrary JSON gives a usable token or `BadResponse`, and nothing else."""
    try:
        token = Token.from_wire(body)
    except BadResponse:
        return
    assert token.access_token
    assert token.access_token.isascii()
    assert token.access_token == "".join(token.access_token.split())
    assert token.expires_in is None or 0 <= token.expires_in < math.inf
    assert token.refresh_token is None or token.refresh_token.strip()


@pytest.mark.parametrize(
    ("came", "seconds"),
    [
        (3600, 3600.0),
        (60, 60.0),
        (0, 0.0),
        (59.5, 59.5),
        ("3600", 3600.0),
        (" 60 ", 60.0),
        (-5, 0.0),
        (None, None),
        (True, None),
        ("soon", None),
        ("", None),
        ("inf", None),
        ("nan", None),
        (1e999, None),
        (10**400, None),
        ([60], None),
        ({"s": 60}, None),
    ],
)
def test_the_life_is_a_number_of_seconds_or_unknown(came: object, seconds: float | None) -> None:
    """Numbers and texts of numbers count, negative ones as 0; anything else is not known."""
    assert Token.from_wire({"access_token": "t", "expires_in": came}).expires_in == seconds


@pytest.mark.parametrize(
    "access",
    [None, "", "  ", 5, True, ["t"], {"t": 1}, "a b", "a\nb", "t ", "töken", "a\0b", "a\x7fb"],
)
def test_what_no_header_can_carry_is_no_token(access: object) -> None:
    """A token is ASCII without white space or control characters, as in a header."""
    with pytest.raises(BadResponse, match="holds no access_token"):
        Token.from_wire({"access_token": access, "expires_in": 60})


def test_a_refresh_token_is_kept() -> None:
    """SHIFT's refresh token comes along, a blank one does not."""
    assert Token.from_wire({"access_token": "t", "refresh_token": "r"}).refresh_token == "r"
    assert Token.from_wire({"access_token": "t", "refresh_token": " "}).refresh_token is None
    assert Token.from_wire({"access_token": "t", "refresh_token": 5}).refresh_token is None


def test_no_repr_shows_a_token() -> None:
    """Neither token is in the repr."""
    token = Token.from_wire(json.loads('{"access_token": "s3cr3t", "refresh_token": "s3cr3t"}'))
    assert "s3cr3t" not in repr(token)
