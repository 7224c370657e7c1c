"""What may be shown of a server's text: nothing of the request, however it is spelled."""

from __future__ import annotations

import html
import json
import time
from collections.abc import Callable
from urllib.parse import quote, urlencode

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from moveworks_shift_async.addresses import address_fault
from moveworks_shift_async.wire.redaction import Sent, redact

#: Things that no error may show.
SENSITIVE = st.one_of(
    st.emails(),
    st.from_regex(r"[a-z'+.]{0,8}[a-z']@[a-z]{1,9}\.(com|org)", fullmatch=True).filter(
        lambda text: address_fault(text) is None
    ),
    st.from_regex(r"mw[st]_[A-Za-z0-9]{8,40}", fullmatch=True),
    st.from_regex(r"([Bb]earer|BEARER) [A-Za-z0-9._~+/=-]{8,40}", fullmatch=True),
)
AROUND = st.text(st.sampled_from(" \t\n\"'<>()[]{},;:=.é\u2028"), max_size=4)
WORDS = st.text(max_size=12)


@given(st.lists(st.tuples(WORDS, AROUND, SENSITIVE, AROUND), max_size=4), WORDS)
@example([("", "", "o'@example.com", "")], "")
@example([("", "", "BEARER abcdefgh12345678", "")], "")
@example([("", "'", "Bearer abcdefgh12345678", "'")], "")
def test_nothing_sensitive_is_let_through(
    parts: list[tuple[str, str, str, str]], tail: str
) -> None:
    """Addresses, secrets and tokens are removed wherever they stand in the vendor's sentence."""
    message = "".join(f"{words} {before}{thing}{after} " for words, before, thing, after in parts)
    shown = redact(message + tail)
    for _, _, thing, _ in parts:
        assert thing not in shown
        assert thing.split(" ")[-1] not in shown
    assert len(shown) <= 300
    assert shown == " ".join(shown.split()) or len(shown) == 300


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("Token mwt_abcDEF123 expired", "Token [removed] expired"),
        ("secret=mws_abcDEF123", "[removed]"),
        (
            "no route for /v1/messages?client_id=a&client_secret=b",
            "no route for /v1/messages[removed]",
        ),
        ("client_secret=b-c is wrong", "client_[removed] is wrong"),
        ('unknown "ann@example.com", sorry', 'unknown "[removed]", sorry'),
        ("<bob@example.com>", "<[removed]>"),
        ("sent Authorization: Bearer abc.def", "sent Authorization: [removed]"),
        ("two\n lines\t here", "two lines here"),
        ("x" * 400, "x" * 300),
    ],
)
def test_the_rest_of_the_sentence_stays(message: str, shown: str) -> None:
    """What is not sensitive is kept, on one line of at most 300 characters."""
    assert redact(message) == shown


def sent(key: str = "", body: object = None, **query: str) -> Sent:
    """What a request with this key, this JSON body and this query carried."""
    content = None if body is None else json.dumps(body).encode()
    return Sent.of(query, f"Bearer {key}", content)


BODY = {"message": "The VPN is down, secret plan", "recipients": ["o'hara@example.com"]}


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("bad key S3cretKey here", "bad key [removed] here"),
        ("bad key:S3cretKeyS3cretKey.", "bad key:[removed]."),
        ("app f07fcf0d unknown", "app [removed] unknown"),
        ("The VPN is down, secret plan", "[removed]"),
        ("cannot parse: The VPN is down, secret plan", "cannot parse: [removed]"),
        ("cannot parse 'VPN is down, sec'", "cannot parse '[removed]'"),
        ("cannot parse: The%20VPN%20is%20down%2C", "cannot parse: [removed]"),
        ("VPN is down: The VPN is", "VPN is down: The VPN is"),
        ("Expected message to be shorter", "Expected message to be shorter"),
        (
            "`recipients` must hold no o&#39;hara%40example.com",
            "`recipients` must hold no [removed]",
        ),
    ],
)
def test_what_the_server_repeats_of_the_request_is_taken_out(said: str, shown: str) -> None:
    """Credentials whole; of the body every run of twelve characters."""
    assert redact(said, sent("S3cretKey", BODY, client_secret="f07fcf0d")) == shown


@pytest.mark.parametrize(
    ("said", "key"),
    [
        ("the key was revoked", "k"),
        ("the key was revoked", "revoked"),
        ("Content-Type application/json not supported", "some-long-credential"),
        ('unsupported grant_type "client_credentials"', "some-long-credential"),
        ("Expected `recipients` to be a list of `message`", "some-long-credential"),
    ],
)
def test_words_stay(said: str, key: str) -> None:
    """Short credentials, headers, keys and the API's own words hide nothing of the sentence."""
    body = {**BODY, "grant_type": "client_credentials"}
    assert redact(said, sent(key, body)) == said


@pytest.mark.parametrize("form", [json.dumps, urlencode])
@pytest.mark.parametrize("key", ["client_id", "client_secret", "refresh_token"])
def test_a_token_request_carries_credentials(
    form: Callable[[dict[str, str]], str], key: str
) -> None:
    """They are in its body, as JSON or as a form, and count like those of a header."""
    body = form({key: "s3cr3t&=", "grant_type": "x"}).encode()
    assert redact("no client s3cr3t&= here", Sent.of({}, "", body)) == "no client [removed] here"


def test_texts_anywhere_in_a_body_count() -> None:
    """A body may be any JSON; its texts are found at any depth, and numbers are no texts."""
    carried = Sent.of({}, "", b'[5, null, {"a": [[true, "private words"]]}]')
    assert redact("never private words, 5 null", carried) == "never [removed], 5 null"


def test_what_is_too_large_to_compare_is_not_quoted() -> None:
    """Where the comparison would take long, nothing of the server's text is shown."""
    assert redact("x", sent(body={"message": "x" * 500_001})) == ""
    assert redact("x", Sent.of({}, "", b"[" * 100_000)) == ""
    assert redact("x", sent(body={"message": "y" * 400_000})) == "x"


def test_half_an_address_is_not_left_at_a_cut() -> None:
    """What stands at the end of what is read is left out, for it may be half of something."""
    long = "Bearer " + "t" * 1900
    assert redact(f"{long} for {'ann' * 40}@example.com") == "[removed] for"
    assert redact("ann" * 1000) == "[removed]"


def _entities(text: str) -> str:
    return "".join(f"&#{ord(c)};" for c in text)


def _hexadecimal(text: str) -> str:
    return "".join(f"&#x{ord(c):x};" for c in text)


def _json(text: str) -> str:
    return json.dumps(text)[1:-1]


def _unicode(text: str) -> str:
    return "".join(f"\\u{ord(c):04x}" for c in text)


def _percent(text: str) -> str:
    return "".join(f"%{byte:02X}" for byte in text.encode())


SPELLINGS: list[Callable[[str], str]] = [
    str,
    quote,
    _percent,
    html.escape,
    _entities,
    _hexadecimal,
    _json,
    _unicode,
    repr,
]
SECRETS = st.text(st.characters(codec="ascii", categories=("L", "N", "P", "S")), min_size=12)


@given(
    SECRETS | st.text(st.sampled_from("abc%&;#\\\"'<>u0x+ é"), min_size=12),
    st.sampled_from(SPELLINGS),
    st.sampled_from(SPELLINGS),
    st.sampled_from(["", "no such key: ", "x", "(", "'"]),
    st.sampled_from(["credential", "query", "message", "recipient"]),
)
@example("a%40b%40c%40d%40e", str, str, "", "message")
@example("0" * 11 + "&", str, html.escape, "", "credential")
@example("0" + 2 * "\\" + "0" * 11, _entities, html.escape, "", "credential")
def test_other_spellings_are_taken_out_as_well(
    secret: str,
    first: Callable[[str], str],
    second: Callable[[str], str],
    before: str,
    place: str,
) -> None:
    """Percent-encoded, as HTML, as JSON or twice over: no run of twelve of it is left."""
    bodies = {"message": {"message": secret}, "recipient": {"recipients": ["a@x.io", secret]}}
    carried = sent(
        secret if place == "credential" else "",
        bodies.get(place),
        **({"client_secret": secret} if place == "query" else {}),
    )
    shown = redact(f"{before}{second(first(secret))} is wrong", carried)
    plain = " ".join(secret.split())
    for start in range(len(plain) - 11):
        assert plain[start : start + 12] not in shown or plain[start : start + 12] in before


@given(st.text(), st.dictionaries(st.text(), st.text() | st.lists(st.text())), st.text())
@example("&#" + "9" * 1990, {"message": "&#" + "9" * 5000}, "")
@example("\ud800", {"message": "\udfff"}, "\\ud800")
@example("%ff&#xd800;\\ud800\\x", {}, "")
def test_any_text_is_shown_on_one_printable_line(text: str, body: object, key: str) -> None:
    """Whatever the server wrote and whatever was sent: never an error, never more than a line."""
    shown = redact(text, sent(key, body))
    assert shown.isprintable()
    assert len(shown) <= 300
    shown.encode()


@pytest.mark.parametrize(
    "unit",
    [
        *("a", "a@", "?", "?a", "bearer ", "bearer", "secret=", "mwt_", "[removed]", " ", "@"),
        *("&#", "&#9", "&amp;", "%", "%25", "\\", "\\u0040", "\ud800"),
    ],
)
def test_time_grows_with_the_texts_alone(unit: str) -> None:
    """A text of a megabyte, against the largest body that is compared, costs no noticeable time.

    Processor time of this thread, so a busy machine changes nothing.
    """
    text = unit * (1_000_000 // len(unit))
    carried = sent(unit * 20, {"message": text[: 400_000 // len(json.dumps(unit)) * len(unit)]})
    began = time.thread_time()
    redact(text, carried)
    sent(unit * 20, {"recipients": [unit * 20] * 10_000})
    assert time.thread_time() - began < 10
