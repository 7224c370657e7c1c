"""What SHIFT accepts in a message: the rules of its documentation's prose. Pure.

The vendor publishes a code for one broken rule only (4004). The others answer 4001, its code
for an error without a name.
"""

from __future__ import annotations

from typing import Any

from attrs import frozen

from .moveworks import is_uuid
from .rules import Refusal, Told, is_address, parse_object

UNKNOWN = 4001
EMPTY = 4004


@frozen(kw_only=True)
class ShiftPost:
    """A message that keeps the rules."""

    text: str
    teams: list[str]
    ids: list[str]
    emails: list[str]
    attachments: list[Any]
    mentions: list[dict[str, Any]]

    def told(self) -> Told:
        """The form in which it is recorded: `team:` and the id, user ids, addresses."""
        to = [f"team:{team}" for team in self.teams] + self.ids + self.emails
        return Told(addresses="\n".join(to), message=self.text)

    def shown_text(self) -> str:
        """The text as the answer shows it: the mention in place of `{0}`."""
        if not self.mentions:
            return self.text
        return self.text.replace("{0}", f"<a>{self.mentions[0]['name']}</a>")


def check_post(body: bytes) -> ShiftPost:
    """Read and check the body of a message. Raises `Refusal` with the code that fits best."""
    payload = _parse(body)
    text = _field(payload, "text", (str,), "")
    attachments = _field(payload, "attachments", (list, dict), [])
    if not text and not attachments:
        raise Refusal(EMPTY, "text or attachments cannot be empty")
    teams, ids, emails = _addressed(payload)
    mentions = _mentions(payload, text)
    files = attachments if isinstance(attachments, list) else [attachments]
    return ShiftPost(
        text=text, teams=teams, ids=ids, emails=emails, attachments=files, mentions=mentions
    )


def _parse(body: bytes) -> dict[str, Any]:
    try:
        return parse_object(body)
    except Refusal:
        raise Refusal(UNKNOWN, "the body is not a json object") from None


def _field(payload: dict[str, Any], name: str, kinds: tuple[type, ...], missing: Any) -> Any:
    """A field of one of these types. A null reads as a missing one: SHIFT's answers are full."""
    value = payload.get(name)
    if value is None:
        return missing
    _need(isinstance(value, kinds), f"{name} has an incorrect type")
    return value


def _addressed(payload: dict[str, Any]) -> tuple[list[str], list[str], list[str]]:
    users = _field(payload, "addressed_users", (list, dict), [])
    parts = users if isinstance(users, dict) else {"ids": users}
    ids, emails = _strings(parts, "ids"), _strings(parts, "emails")
    teams = _strings(payload, "addressed_teams")
    _need(all(map(is_uuid, ids + teams)), "an id is not a uuid")
    _need(all(map(is_address, emails)), "an email is not an address")
    _need(bool(teams or ids or emails), "nobody is addressed")
    _need(len(teams) <= 1, "more than one team is addressed")
    _need(not teams or not (ids or emails), "a team and users are addressed")
    return teams, ids, emails


def _strings(payload: dict[str, Any], name: str) -> list[str]:
    items: list[str] = _field(payload, name, (list,), [])
    _need(all(isinstance(item, str) for item in items), f"{name} are not strings")
    return items


def _mentions(payload: dict[str, Any], text: str) -> list[dict[str, Any]]:
    mentions: list[dict[str, Any]] = _field(payload, "mentions", (list,), [])
    _need(all(map(_is_mention, mentions)), "mentions are not a list of app objects")
    _need(len(mentions) <= 1, "more than one object is mentioned")
    _need(bool(mentions) == ("{0}" in text), "a mention and {0} in the text come together")
    return mentions


def _is_mention(value: object) -> bool:
    return (
        isinstance(value, dict)
        and value.get("type") == "appobject"
        and all(isinstance(value.get(key), str) and value[key] for key in ("id", "name"))
    )


def _need(holds: bool, message: str) -> None:
    if not holds:
        raise Refusal(UNKNOWN, message)
