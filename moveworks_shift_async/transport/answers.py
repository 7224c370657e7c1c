"""An answer as it comes: read whole up to a bound, and never unpacked."""

from __future__ import annotations

import aiohttp

from ..errors import OutcomeUnknown

# The longest answer of either API is a few kilobytes. What a refusal holds beyond this is not
# read, and an acceptance that is longer is not one that the vendors document.
LONGEST_ANSWER = 256 * 1024


async def read(answer: aiohttp.ClientResponse) -> bytes:
    """The body as it came; of a refusal, what can be read, for its status has said enough."""
    refused = not 200 <= answer.status < 300
    content = bytearray()
    try:
        while part := await answer.content.readany():
            content += part
            if len(content) > LONGEST_ANSWER:
                break
    except (aiohttp.ClientError, OSError):
        if not 400 <= answer.status < 500:
            raise
    if not (refused or content.strip() or _has_an_end(answer)):
        # So ends an answer that was broken off, whatever its body was to say.
        raise OutcomeUnknown("the connection ended where a body may follow; told or not told")
    if not refused and len(content) > LONGEST_ANSWER:
        raise OutcomeUnknown("the answer is longer than any that is documented; told or not told")
    if answer.headers.get("Content-Encoding", "identity").strip().lower() == "identity":
        return bytes(content[:LONGEST_ANSWER])
    if refused:
        return b""  # it is never unpacked: a kilobyte may hold a gigabyte
    raise OutcomeUnknown("the answer is packed, though it was asked not to be; told or not told")


def _has_an_end(answer: aiohttp.ClientResponse) -> bool:
    """Whether the head says where the body ends.

    Else it ends with the connection: RFC 9112, section 6.3.
    """
    named = ("Content-Length", "Transfer-Encoding")
    return answer.status == 204 or any(name in answer.headers for name in named)
