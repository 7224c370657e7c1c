"""The SHIFT API's rules: what a message may be, and what an answer means."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, cast
from urllib.parse import parse_qs

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from moveworks_shift_async.errors import (
    BadRequest,
    BadResponse,
    Concerns,
    InvalidInput,
    NotAllowed,
    NotAuthenticated,
    NotFound,
    RateLimited,
    RefusedByServer,
    ServerFailed,
)
from moveworks_shift_async.models import AppObject, ShiftMessage
from moveworks_shift_async.settings import OAuthTokens
from moveworks_shift_async.wire.http import Request, Response
from moveworks_shift_async.wire.shift import (
    AddressedUsers,
    error_of,
    message_request,
    parse_message,
    parse_tokens,
    refresh_request,
)

from .answers import HTML, JSON, SUCCESSES, answer, check_value_or_our_error

TEAM = uuid.UUID("5f0e4e0c-2b1d-4a53-9d52-6f2f6d1b7a01")
USER = uuid.UUID("0b8b5a52-7c4e-4d0b-8f5e-1c9d3e2f4a02")
MENTION = AppObject("object-1", "An object")

KNOWN = {
    "id": "m1",
    "text": "Hello",
    "subject": None,
    "author": {"first_name": "Ann", "email": "ann@example.com"},
    "addressed_teams": [str(TEAM)],
    "addressed_users": [],
    "attachments": [],
    "mentions": [{"type": "appobject", "id": "object-1", "name": "An object"}],
    "created_at": 1355247468.5,
    "updated_at": 1355247469,
}
UNKNOWN_KEYS = {"muted": False, "is_muted": 0, "tags": ["_inbox"], "via_app": None, "new": {"a": 1}}

MESSAGES = st.fixed_dictionaries(
    {"id": st.text() | JSON}, optional={key: JSON for key in (*KNOWN, "extra") if key != "id"}
)
ERRORS = st.fixed_dictionaries({}, optional={"message": JSON, "code": JSON, "reason": JSON})
ENVELOPES = st.fixed_dictionaries(
    {},
    optional={
        "data": st.lists(MESSAGES, max_size=2) | JSON,
        "errors": st.lists(ERRORS, max_size=2) | ERRORS | JSON,
        "error": JSON,
        "access_token": JSON,
        "refresh_token": JSON,
        "expires_in": JSON,
    },
)
BODIES = st.one_of(
    st.binary(),
    JSON.map(lambda value: json.dumps(value).encode()),
    ENVELOPES.map(lambda value: json.dumps(value).encode()),
)


def _bytes(value: object) -> bytes:
    return json.dumps(value).encode()


def envelope(message: object) -> dict[str, object]:
    """A success of the vendor's shape."""
    return {"meta": {}, "data": [message], "time": 0.2}


def request(**arguments: Any) -> Request:
    """A message to a team, with these changes."""
    return message_request(
        **{
            "text": "Hello",
            "team": TEAM,
            "users": (),
            "emails": (),
            "mention": None,
            "attachments": None,
            "addressed_users": "object",
            **arguments,
        }
    )


def content_of(request: Request) -> Any:
    """What a request's JSON says."""
    assert request.body is not None
    return json.loads(request.body)


# Requests


@pytest.mark.parametrize("team", [TEAM, str(TEAM), str(TEAM).upper()])
def test_a_message_to_a_team(team: str | uuid.UUID) -> None:
    """A team is a list of one, users are the empty object of the vendor's example."""
    made = request(team=team)
    assert (made.method, made.path) == ("POST", "/v1/messages")
    assert made.headers == {"Content-Type": "application/json"}
    assert content_of(made) == {
        "text": "Hello",
        "addressed_teams": [str(TEAM)],
        "addressed_users": {"ids": [], "emails": []},
    }


@pytest.mark.parametrize(
    ("form", "users"),
    [("object", {"ids": [str(USER)], "emails": []}), ("list", [str(USER)])],
)
def test_users_are_written_in_either_documented_form(form: AddressedUsers, users: object) -> None:
    """As an object of ids and e-mail addresses, or as a plain list of ids."""
    made = content_of(request(team=None, users=[USER], addressed_users=form))
    assert made["addressed_users"] == users
    assert made["addressed_teams"] == []


def test_users_by_email() -> None:
    """E-mail addresses go beside the ids."""
    made = content_of(request(team=None, users=[str(USER)], emails=["ann@example.com"]))
    assert made["addressed_users"] == {"ids": [str(USER)], "emails": ["ann@example.com"]}


def test_an_iterator_of_addresses_is_read_once() -> None:
    """It is checked and sent, though it gives its entries only once."""
    emails = ["ann@example.com", "bob@example.com"]
    expected = content_of(request(team=None, emails=emails))
    assert expected["addressed_users"]["emails"] == emails
    assert content_of(request(team=None, emails=iter(emails))) == expected


def test_a_mention_is_a_list_of_one() -> None:
    """It is sent as the vendor's example has it, and the text keeps its place."""
    made = content_of(request(text="See {0}", mention=MENTION))
    assert made["text"] == "See {0}"
    assert made["mentions"] == [{"type": "appobject", "id": "object-1", "name": "An object"}]


def test_attachments_are_passed_on() -> None:
    """Their form is documented nowhere, so whatever is given goes out; text may then be absent."""
    made = content_of(request(text=None, attachments=[{"any": "thing"}]))
    assert made["attachments"] == [{"any": "thing"}]
    assert "text" not in made


@given(
    st.text(min_size=1).filter(lambda text: "{0}" not in text),
    st.lists(st.uuids(), max_size=4),
    st.lists(st.just("ann@example.com") | st.just("bob@example.com"), min_size=1, max_size=4),
    st.none() | st.lists(st.dictionaries(st.text(), st.text() | st.integers()), min_size=1),
)
def test_what_is_encoded_decodes_to_the_same(
    text: str, users: list[uuid.UUID], emails: list[str], attachments: object
) -> None:
    """Text, people and attachments arrive as they were given."""
    made = content_of(
        request(text=text, team=None, users=users, emails=emails, attachments=attachments)
    )
    expected: dict[str, object] = {
        "text": text,
        "addressed_teams": [],
        "addressed_users": {"ids": [str(user) for user in users], "emails": emails},
    }
    if attachments is not None:
        expected["attachments"] = attachments
    assert made == expected


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"team": None}, "address somebody"),
        ({"users": [USER]}, "cannot address users as well"),
        ({"emails": ["ann@example.com"]}, "cannot address users as well"),
        (
            {"team": None, "emails": ["ann@example.com"], "addressed_users": "list"},
            'addressed_users="object"',
        ),
        ({"team": None, "emails": ["ann@example.com", "jane@"]}, r"emails\[1\] is no address"),
        ({"team": None, "emails": "ann@example.com"}, "emails must be a list"),
        ({"team": None, "users": str(USER)}, "users must be a list"),
        ({"team": None, "users": b"x"}, "users must be a list"),
        ({"team": None, "users": 5}, "users must be a list, not int"),
        ({"team": None, "emails": 5}, "emails must be a list, not int"),
        ({"mention": "m1", "text": "{0}"}, "a mention is an AppObject"),
        ({"team": "a team"}, "team must be a UUID"),
        ({"team": None, "users": [USER, "jane"]}, r"users\[1\] must be a UUID"),
        ({"text": None}, "text or attachments"),
        ({"text": ""}, "text or attachments"),
        ({"text": "", "attachments": []}, "text or attachments"),
        ({"text": 5}, "text must be text, not int"),
        ({"text": b"x"}, "text must be text, not bytes"),
        ({"text": "half \ud83d"}, "half a character"),
        ({"mention": MENTION}, r"write \{0\} in the text"),
        ({"text": None, "attachments": ["x"], "mention": MENTION}, r"write \{0\} in the text"),
        ({"text": "See {0}"}, "needs a mention"),
    ],
)
def test_what_the_vendor_would_refuse_is_refused_here(
    arguments: dict[str, object], words: str
) -> None:
    """Each rule of the vendor's prose has its error, which quotes nobody."""
    with pytest.raises(InvalidInput, match=words) as caught:
        request(**arguments)
    assert "jane" not in str(caught.value)


@pytest.mark.parametrize("attachments", [{1, 2}, [object()], float("nan"), [uuid.uuid4()]])
def test_attachments_are_json(attachments: object) -> None:
    """What JSON cannot express is refused as an argument, before anything is sent."""
    with pytest.raises(InvalidInput, match="attachments"):
        request(attachments=attachments)


@pytest.mark.parametrize("mention", [("id", 5), (None, "name"), ("id", None), (["id"], "name")])
def test_a_mention_is_made_of_texts(mention: tuple[Any, Any]) -> None:
    """An id or a name of another type is refused as an argument."""
    with pytest.raises(InvalidInput):
        request(text="See {0}", mention=AppObject(*mention))


def test_a_mention_by_uuid_raises_no_bare_error() -> None:
    """Ids of teams and users may be UUIDs; an object's is written as its text, or refused."""
    object_id: Any = uuid.uuid4()
    try:
        made = content_of(request(text="See {0}", mention=AppObject(object_id, "name")))
    except InvalidInput:
        return
    assert made["mentions"][0]["id"] == str(object_id)


def test_a_refresh_is_a_form() -> None:
    """The refresh token goes with the application's credentials, percent-encoded."""
    credentials = OAuthTokens(client_id="an-id", client_secret="a&b", refresh_token="first")
    made = refresh_request(credentials, "second")
    assert (made.method, made.path) == ("POST", "/v1/oauth2/token")
    assert made.headers == {"Content-Type": "application/x-www-form-urlencoded"}
    assert made.body is not None
    assert parse_qs(made.body.decode()) == {
        "grant_type": ["refresh_token"],
        "client_id": ["an-id"],
        "client_secret": ["a&b"],
        "refresh_token": ["second"],
    }
    assert "second" not in repr(made)


# Answers: messages


@pytest.mark.parametrize("status", SUCCESSES)
def test_a_message_is_read(status: int) -> None:
    """Known keys are typed, times are aware, and every unknown key is kept."""
    message = parse_message(answer(status, envelope({**KNOWN, **UNKNOWN_KEYS})))
    assert message == ShiftMessage(
        id="m1",
        text="Hello",
        author={"first_name": "Ann", "email": "ann@example.com"},
        addressed_teams=(str(TEAM),),
        mentions=({"type": "appobject", "id": "object-1", "name": "An object"},),
        created_at=datetime(2012, 12, 11, 17, 37, 48, 500_000, tzinfo=UTC),
        updated_at=datetime(2012, 12, 11, 17, 37, 49, tzinfo=UTC),
        extra=UNKNOWN_KEYS,
    )
    assert message.created_at is not None
    assert message.created_at.tzinfo is UTC


def test_only_the_id_is_needed() -> None:
    """A message of an id alone is a message, and so is one whose other keys are null."""
    assert parse_message(answer(200, envelope({"id": "m1"}))) == ShiftMessage(id="m1")
    nulls = {**dict.fromkeys(KNOWN), "id": "m1"}
    assert parse_message(answer(200, envelope(nulls))) == ShiftMessage(id="m1")


def test_the_first_message_is_the_one() -> None:
    """The vendor sends a list of one; should there be more, the first is what was asked for."""
    body = {"meta": {}, "data": [{"id": "m1", "text": "first"}, {"id": "m2"}], "time": 0.1}
    message = parse_message(answer(200, body))
    assert (message.id, message.text) == ("m1", "first")


def test_an_unknown_key_may_be_called_extra() -> None:
    """The vendor's own `extra`, should there ever be one, is kept like any other key."""
    message = parse_message(answer(200, envelope({"id": "m1", "extra": {"a": 1}})))
    assert message.extra == {"extra": {"a": 1}}


def test_users_come_as_they_came() -> None:
    """Ids or whole users: both are kept unchanged."""
    users = ["u1", {"id": "u2", "email": "ann@example.com"}]
    message = parse_message(
        answer(200, envelope({"id": "m1", "addressed_users": users, "attachments": [{"a": [1]}]}))
    )
    assert message.addressed_users == tuple(users)
    assert message.attachments == ({"a": [1]},)


@pytest.mark.parametrize(
    ("came", "moment"),
    [
        (0, datetime(1970, 1, 1, tzinfo=UTC)),
        (1355247468, datetime(2012, 12, 11, 17, 37, 48, tzinfo=UTC)),
        (1355247468.25, datetime(2012, 12, 11, 17, 37, 48, 250_000, tzinfo=UTC)),
        (-1, datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC)),
    ],
)
def test_times_are_epoch_seconds(came: float, moment: datetime) -> None:
    """Whole and broken seconds become aware datetimes in UTC."""
    message = parse_message(answer(200, envelope({"id": "m1", "updated_at": came})))
    assert message.updated_at == moment
    assert message.updated_at is not None
    assert message.updated_at.tzinfo is UTC


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        HTML,
        b'"created"',
        {},
        [],
        {"data": None},
        {"data": []},
        {"data": {}},
        {"data": "m1"},
        {"data": [None]},
        {"data": ["m1"]},
        {"data": [{}]},
        {"data": [{"id": None}]},
        {"data": [{"text": "no id"}]},
        {"data": [{"id": True}]},
        {"data": [{"id": " "}]},
        {"data": [{"text": "no id"}, {"id": "m2"}]},
        {"data": [{"id": "m1"}], "error": "no"},
        b'{"data": [{"id": "m1"}], "data": [{"id": "m2"}]}',
        b"\xef\xbb\xbf" + HTML,
        HTML.decode().encode("utf-16"),
    ],
)
def test_a_success_without_a_message_is_a_bad_response(body: object) -> None:
    """The server said yes, so the message may exist, and the error says so."""
    with pytest.raises(BadResponse, match="may have been created or not"):
        parse_message(answer(200, body))


@pytest.mark.parametrize(
    "odd",
    [
        {"created_at": True},
        {"created_at": "yesterday"},
        {"created_at": 1e15},
        {"created_at": 1e17},
        {"created_at": 1e300},
        {"created_at": float("nan")},
        {"author": "Ann"},
        {"author": ["Ann"]},
        {"mentions": ["m"]},
        {"mentions": {"type": "appobject"}},
        {"addressed_teams": 5},
    ],
)
def test_odd_values_raise_no_bare_error(odd: dict[str, object]) -> None:
    """A known key of another type gives a message or a `BadResponse`, and no other error."""
    try:
        message = parse_message(answer(200, envelope({"id": "m1", **odd})))
    except BadResponse:
        pass
    else:
        assert message.id == "m1"


# Answers: errors


@pytest.mark.parametrize("status", [*SUCCESSES, 400, 418])
@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (4001, BadRequest),
        (4004, BadRequest),
        (4010, NotAuthenticated),
        (4012, NotAuthenticated),
        (4040, NotFound),
    ],
)
@pytest.mark.parametrize("parse", [parse_message, parse_tokens])
def test_public_codes_are_typed_whatever_the_status(
    status: int, code: int, kind: type[RefusedByServer], parse: Callable[[Response], object]
) -> None:
    """`errors` is an error even on a 2xx, and its code says which; the raw code is kept."""
    body = {"errors": [{"message": "the words", "code": code, "reason": "x"}]}
    with pytest.raises(kind) as caught:
        parse(answer(status, body))
    assert type(caught.value) is kind
    assert (caught.value.status, caught.value.code) == (status, code)
    assert str(caught.value).startswith(f"HTTP {status} {code}: the words")


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (200, RefusedByServer),
        (206, RefusedByServer),
        (400, BadRequest),
        (401, NotAuthenticated),
        (403, NotAllowed),
        (404, NotFound),
        (429, RateLimited),
        (500, ServerFailed),
    ],
)
@pytest.mark.parametrize("code", [4999, "ODD", 4001.5, None, [4004]])
def test_other_codes_fall_back_on_the_status(
    status: int, kind: type[RefusedByServer], code: object
) -> None:
    """An unknown code is kept if it is a number or a text, and the status decides."""
    with pytest.raises(kind) as caught:
        parse_message(answer(status, {"errors": [{"message": "words", "code": code}]}))
    assert type(caught.value) is kind
    assert caught.value.code == (code if isinstance(code, (int, str)) else None)


@pytest.mark.parametrize(
    ("errors", "words"),
    [
        ({"message": "the words", "code": 4004}, "HTTP 400 4004: the words"),
        ("the words", "HTTP 400: the words"),
        (["the words"], "HTTP 400: the words"),
        ([[]], "HTTP 400"),
        (True, "HTTP 400"),
        ([{}], "HTTP 400"),
    ],
)
def test_odd_errors_are_read_as_far_as_they_go(errors: object, words: str) -> None:
    """A single object or a bare text instead of a list is an error all the same."""
    with pytest.raises(BadRequest) as caught:
        parse_message(answer(400, {"errors": errors}))
    assert str(caught.value) == words


def test_no_errors_is_no_error() -> None:
    """An empty `errors` beside the data means nothing."""
    body = {**envelope({"id": "m1"}), "errors": []}
    assert parse_message(answer(200, body)).id == "m1"


@pytest.mark.parametrize("parse", [parse_message, parse_tokens])
@pytest.mark.parametrize("status", [101, 203, 206, 300, 303, 304])
def test_an_undocumented_success_is_unclear(
    status: int, parse: Callable[[Response], object]
) -> None:
    """Another 2xx, or 303, may have been processed, so it is neither accepted nor refused."""
    with pytest.raises(BadResponse, match=f"HTTP {status}") as caught:
        parse(answer(status, envelope({"id": "m1"})))
    assert (caught.value.concerns is Concerns.EVERYBODY) == (300 <= status < 400)


def test_a_status_that_is_not_final_refuses_nothing() -> None:
    """What an informational answer holds says nothing of the request."""
    body = {"errors": [{"message": "no", "code": 4004}]}
    with pytest.raises(BadResponse, match="HTTP 101"):
        parse_message(answer(101, body))


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (502, HTML, ServerFailed),
        (500, b"", ServerFailed),
        (404, b"null", NotFound),
        (401, b'"no"', NotAuthenticated),
        (429, b"", RateLimited),
        (307, b"", RefusedByServer),
    ],
)
def test_a_refusal_without_errors_goes_by_its_status(
    status: int, body: bytes, kind: type[RefusedByServer]
) -> None:
    """HTML, empty and odd bodies are typed errors."""
    with pytest.raises(kind) as caught:
        parse_message(answer(status, body))
    assert type(caught.value) is kind
    assert (caught.value.status, caught.value.code) == (status, None)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ("invalid_grant", NotAuthenticated),
        ("invalid_client", NotAuthenticated),
        ("invalid_request", BadRequest),
        ("unsupported_grant_type", BadRequest),
        ("server_error", BadRequest),
    ],
)
def test_the_token_endpoints_own_errors(error: str, kind: type[RefusedByServer]) -> None:
    """It answers 400 with `{"error": ...}`; a refused grant or client is a refused credential."""
    with pytest.raises(kind) as caught:
        parse_tokens(answer(400, {"error": error}))
    assert type(caught.value) is kind
    assert (caught.value.status, caught.value.code) == (400, error)


@pytest.mark.parametrize(
    "body",
    [
        {"errors": [{"message": "no such user: ann@example.com", "code": 4004}]},
        {"errors": [{"message": "no", "code": "ann@example.com"}]},
        {"error": "no such user: ann@example.com"},
    ],
)
def test_no_error_quotes_an_address(body: object) -> None:
    """What the vendor quotes back at us is removed, in whichever key it stands."""
    with pytest.raises(BadRequest) as caught:
        parse_message(answer(400, body))
    assert "ann@" not in str(caught.value) + repr(caught.value)


# Answers: tokens


def test_a_new_pair_is_read() -> None:
    """The token endpoint has no envelope."""
    body = {"access_token": "a", "token_type": "Bearer", "expires_in": 3600, "refresh_token": "r"}
    token = parse_tokens(answer(200, body))
    assert (token.access_token, token.expires_in, token.refresh_token) == ("a", 3600.0, "r")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"refresh_token": "r"}, "no access_token"),
        (b"", "no access_token"),
        (HTML, "no access_token"),
        ([], "no access_token"),
        ({"access_token": "a", "error": "invalid_grant"}, "HTTP 200"),
    ],
)
def test_half_a_pair_is_a_bad_response(body: object, words: str) -> None:
    """Without an access token there is nothing to use."""
    with pytest.raises(BadResponse, match=words):
        parse_tokens(answer(200, body))


PARSERS: list[Callable[[Response], object]] = [parse_message, parse_tokens]


@given(st.integers(100, 599), BODIES, st.sampled_from(PARSERS))
@example(200, _bytes(envelope({"id": "m1", "created_at": 1e17})), parse_message)
@example(200, _bytes(envelope({"id": "m1", "author": "Ann"})), parse_message)
def test_any_answer_is_a_value_or_our_error(
    status: int, body: bytes, parse: Callable[[Response], object]
) -> None:
    """Arbitrary bytes and JSON under any status never raise anything but a `MoveworksError`."""
    check_value_or_our_error(parse, Response(status=status, body=body))


@given(MESSAGES, st.sampled_from(SUCCESSES))
@example({"id": "m1", "mentions": ["m"]}, 200)
def test_any_message_is_read_or_a_bad_response(message: dict[str, object], status: int) -> None:
    """Whatever the values of a message's keys, it is a message or a `BadResponse`."""
    try:
        read = parse_message(answer(status, envelope(message)))
    except BadResponse:
        return
    assert isinstance(read.id, str)
    for moment in (read.created_at, read.updated_at):
        assert moment is None or moment.tzinfo is UTC
    assert "text=" not in repr(read)


@given(st.integers(100, 599), JSON, JSON)
def test_any_refusal_has_its_typed_error(status: int, errors: object, body: object) -> None:
    """`error_of` answers with an error of that status, whatever came."""
    error = error_of(Response(status=status), errors, body)
    assert error.status == status
    assert error.code is None or isinstance(cast(object, error.code), (str, int))


def test_a_refresh_may_keep_the_refresh_token() -> None:
    """RFC 6749 allows an answer without a new one; the caller keeps the old."""
    assert parse_tokens(answer(200, {"access_token": "a"})).refresh_token is None


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("addressed_users", {"ids": ["u1"], "emails": []}),
        ("addressed_teams", "abc"),
        ("addressed_teams", [1]),
        ("attachments", {"a": 1}),
        ("mentions", ["x"]),
        ("author", "Ann"),
        ("created_at", "2012-12-11T17:37:48Z"),
        ("created_at", True),
        ("updated_at", 1e17),
        ("text", ["a"]),
    ],
)
def test_a_created_message_of_another_shape_is_a_created_message(key: str, value: object) -> None:
    """What has an unexpected shape is kept as it came, and the rest is typed."""
    body = {"data": [{"id": 7, "subject": "s", key: value}]}
    message = parse_message(answer(200, body))
    assert (message.id, message.subject, message.extra) == ("7", "s", {key: value})


def test_a_5xx_is_unknown_whatever_its_code() -> None:
    """A code that blames the request proves nothing when the server broke."""
    body = {"errors": [{"message": "Unknown error", "code": 4001}]}
    with pytest.raises(ServerFailed) as raised:
        parse_message(answer(500, body))
    assert (raised.value.code, raised.value.outcome) == (4001, "unknown")
