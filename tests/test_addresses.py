"""Which texts are plausible addresses, and that many at once are judged as one by one."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from moveworks_shift_async.addresses import MAX_LENGTH, address_fault, first_fault, person

#: Texts near an address, so that both answers are common.
PIECES = st.lists(
    st.sampled_from(["a", "B", "é", "7", ".", "@", "-", "_", "+", "'", " ", "\n", "\r", "\u2028"]),
    max_size=12,
).map("".join)
TEXTS = st.one_of(
    st.text(max_size=20),
    PIECES,
    st.emails(),
    st.emails().map(lambda text: text + "\n"),
    st.tuples(st.emails(), st.emails()).map("\n".join),
)


@pytest.mark.parametrize(
    "text",
    [
        "a@b.c",
        "jane.doe@example.com",
        "Jane.Doe+tag@Mail.Example.CO.UK",
        "o'brien@example.com",
        "x_y-z@example-site.org",
        "jürgen@müller.example",
        "山田@例え.テスト",
        "1@2.3",
        "!#$%&'*+/=?^`{|}~-@example.com",
        "a@xn--mller-kva.example",
        "a" * (MAX_LENGTH - len("@example.com")) + "@example.com",
    ],
)
def test_plausible_addresses_pass(text: str) -> None:
    """What a directory may hand out is no fault."""
    assert address_fault(text) is None
    assert first_fault([text]) is None


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "empty"),
        ("a" * 243 + "@example.com", "longer than 254 characters"),
        ("a@" + "b" * 251 + ".c", "longer than 254 characters"),
        (" a@b.c", "holds a space"),
        ("a@b.c\n", "holds a space"),
        ("a b@c.d", "holds a space"),
        ("a\u00a0b@c.d", "holds a space"),
        ("a.b.c", "no @"),
        ("a@b@c.d", "more than one @"),
        ("@b.c", "nothing before the @"),
        ("a@", "nothing after the @"),
        ("a@b", "no domain name after the @"),
        ("a@b..c", "no domain name after the @"),
        ("a@-b.c", "no domain name after the @"),
        ("a@b_c.d", "no domain name after the @"),
        ("a@b.c.", "no domain name after the @"),
        ("a@[127.0.0.1]", "no domain name after the @"),
        (".a@b.c", "a character or a dot before the @ that cannot stand there"),
        ("a..b@c.d", "a character or a dot before the @ that cannot stand there"),
        ('"a"@b.c', "a character or a dot before the @ that cannot stand there"),
        ("<a@b.c", "a character or a dot before the @ that cannot stand there"),
        (None, "a NoneType, not text"),
        (5, "a int, not text"),
        (b"a@b.c", "a bytes, not text"),
    ],
)
def test_faults_are_named(text: object, fault: str) -> None:
    """Each fault has its words, and they do not quote the text; among many it is found as well."""
    assert address_fault(text) == fault
    assert first_fault(["a@b.c", text, "b@b.c"]) == (1, fault)  # type: ignore[list-item]


@given(TEXTS)
@example("a@b.c\na@b.c")
@example("a@b.c\n")
def test_the_many_agree_with_the_one(text: str) -> None:
    """A text is a fault among others exactly when it is one alone, newlines included."""
    fault = address_fault(text)
    good = "a@b.c"
    for position, texts in enumerate(([text], [good, text], [good, good, text, good])):
        assert first_fault(texts) == (None if fault is None else (position, fault))


@given(st.lists(st.one_of(TEXTS, st.none(), st.integers()), max_size=8))
def test_the_first_fault_is_the_first(texts: list[str]) -> None:
    """Of several faults the first in order is named."""
    faults = [(i, fault) for i, text in enumerate(texts) if (fault := address_fault(text))]
    assert first_fault(texts) == (faults[0] if faults else None)


@given(TEXTS)
def test_an_address_has_one_at_and_a_dotted_domain(text: str) -> None:
    """What passes holds no white space, one @ and a dot after it, in at most 254 characters."""
    if address_fault(text) is None:
        local, domain = text.split("@")
        assert local
        assert "." in domain
        assert text == "".join(text.split())
        assert len(text) <= MAX_LENGTH


@pytest.mark.parametrize(
    "text", ["a." * 120 + "@", "a@" + "b-" * 120, "a@" + "b." * 120, "-" * 254, "a" * 5_000_000]
)
def test_odd_texts_are_judged_at_once(text: str) -> None:
    """Texts made to make a pattern slow are refused like any other."""
    assert address_fault(text) is not None
    assert first_fault(["a@b.c"] * 400 + [text]) == (400, address_fault(text))


@given(st.text())
def test_one_person_is_an_address_in_any_case(text: str) -> None:
    """The case of letters makes no other person; letters that only casefold makes equal do."""
    assert person(text) == text.lower()
    assert person("ANN@Example.com") == person("ann@example.COM")
    assert person("strasse@example.com") != person("straße@example.com")
