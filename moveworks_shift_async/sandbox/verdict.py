"""What a vendor decides about one request: the answer, and what has happened by it."""

from __future__ import annotations

from attrs import frozen

from .answers import Answer
from .rules import Told


@frozen(kw_only=True)
class Verdict:
    """The decision about one request. A refusal has changed nothing."""

    answer: Answer
    #: True where the request took effect: a message out, a token issued, a probe passed.
    processed: bool = False
    #: Who asked, by public name; never a secret.
    credential: str | None = None
    #: The message that went out by this request.
    told: Told | None = None
