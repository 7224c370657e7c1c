"""Answers of a server as values, from what a vendor documents to anything at all."""

from __future__ import annotations

import json
from collections.abc import Callable

from hypothesis import strategies as st

from moveworks_shift_async.errors import MoveworksError
from moveworks_shift_async.wire.http import Response

#: The statuses that can be a success.
SUCCESSES = (200, 201, 202, 204)
HTML = b"<html><body>Bad Gateway</body></html>"

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8
)


def answer(status: int, body: object = b"", **headers: str) -> Response:
    """A response with these bytes, or with this value as JSON."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Response(status=status, headers=headers, body=content)


def check_value_or_our_error(parse: Callable[[Response], object], response: Response) -> None:
    """It is read under the status of a success, or raises a `MoveworksError` of one short line."""
    try:
        parse(response)
    except MoveworksError as error:
        words = str(error)
    else:
        assert response.status in SUCCESSES
        return
    assert len(words) < 1000
    assert "\n" not in words
