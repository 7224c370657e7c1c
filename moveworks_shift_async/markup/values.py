"""What a message may hold, and what is found in one that holds something else."""

from __future__ import annotations

from enum import Enum

from attrs import field, frozen

#: What the vendor's samples use.
TAGS = frozenset({"a", "b", "br", "i", "li", "p", "strong", "ul"})
#: With `mark` around a slot, and `code` around what is shown because it is not understood.
SHOWN_TAGS = TAGS | {"code", "mark"}
#: Characters of a message. The vendor does not say of which kind: code points, as the client counts
#: them before it sends.
LIMIT = 20_000
#: From here on a message is close to it.
CLOSE = 18_000


class Fault(Enum):
    """What may be wrong with a message."""

    TAG = "tag"
    ATTRIBUTE = "attribute"
    BROKEN = "broken"
    NESTED = "nested"
    LINK = "link"
    EMOJI = "emoji"
    UNFILLED = "unfilled"
    CHARACTER = "character"
    LENGTH = "length"
    VALUE = "value"


#: What each means.
MEANINGS = {
    Fault.TAG: "a tag that is in no sample of the vendor's; it is shown as text",
    Fault.ATTRIBUTE: "an attribute that is in no sample of the vendor's",
    Fault.BROKEN: "a tag that is broken, has no end, or ends nothing",
    Fault.NESTED: "a list in a list",
    Fault.LINK: "a link to no absolute http, https or mailto address",
    Fault.EMOJI: "a code of no emoji that is known",
    Fault.UNFILLED: "a slot or a column without a value",
    Fault.CHARACTER: "a character that is lost, not to be seen, or turns the order around",
    Fault.LENGTH: f"close to {LIMIT:,} characters or bytes, or beyond",
    Fault.VALUE: "a value of a column that looks empty or odd",
}


@frozen
class Finding:
    """One thing to look at; equal to another wherever the two are."""

    fault: Fault
    #: A sentence that may quote the message.
    what: str = field(repr=False)
    #: Where it is first: 1 for the first character.
    at: int = field(eq=False)


@frozen(kw_only=True)
class Rendered:
    """A message to be shown."""

    #: Of `SHOWN_TAGS`; a link has `href`, `target` and `rel`, and nothing else an attribute.
    html: str = field(repr=False)
    #: Code points of the source.
    length: int
    #: Equal ones once, in order of appearance.
    findings: tuple[Finding, ...]
