"""A message as the vendor's samples show it, and what is found in it."""

from __future__ import annotations

import html
import subprocess
import sys
from html.parser import HTMLParser

import pytest
from attrs import define, field
from hypothesis import given
from hypothesis import strategies as st

from moveworks_shift_async.markup.render import check, document, render
from moveworks_shift_async.markup.sanitizer import seen
from moveworks_shift_async.markup.values import CLOSE, LIMIT, SHOWN_TAGS, TAGS, Fault
from moveworks_shift_async.markup.walk import Walk
from moveworks_shift_async.sandbox.rules import MESSAGE_MAX
from moveworks_shift_async.wire.moveworks import MAX_MESSAGE

from .hostile import HOSTILE

#: The vendor's own, of its reference.
SAMPLE = (
    "This is a rich message that supports <b>bold</b> and <i>italics</i>.<br><br> Did I mention, we"
    ' also support:<br><ul><li>Lists</li><li><a href="https://moveworks.com">Links</a></li><li>and'
    ' just about <a href="https://www.webfx.com/tools/emoji-cheat-sheet/"> any emoji you want'
    " </a>:fire:</li></ul>"
)
REL = 'target="_blank" rel="noopener noreferrer"'


@define(eq=False)
class Reader(HTMLParser):
    """What a page is made of."""

    tags: list[tuple[str, dict[str, str | None]]] = field(factory=list)
    text: str = ""

    def __attrs_pre_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def read(shown: str) -> Reader:
    """Read HTML."""
    reader = Reader()
    reader.feed(shown)
    reader.close()
    return reader


def shown(message: str) -> str:
    """The HTML of a message."""
    return render(message).html


def found(message: str, fault: Fault | None = None) -> list[str]:
    """What is found in a message, of one kind or of all."""
    return [finding.what for finding in render(message).findings if fault in (None, finding.fault)]


def test_the_sample_of_the_vendor_is_shown_whole_and_nothing_is_found_in_it() -> None:
    """Its own list of what a message may hold."""
    assert shown(SAMPLE) == (
        SAMPLE.replace(":fire:", "\N{FIRE}")
        .replace('moveworks.com"', f'moveworks.com" {REL}')
        .replace('cheat-sheet/"', f'cheat-sheet/" {REL}')
    )
    assert found(SAMPLE) == []


def test_the_limit_is_the_client_s_and_the_sandbox_s() -> None:
    """Which share nothing, so a test says that they agree."""
    assert LIMIT == MAX_MESSAGE == MESSAGE_MAX


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("one\ntwo\r\nthree\rfour", "one<br>two<br>three<br>four"),
        ("<BR/>one<br />", "<br>one<br>"),
        ("<P>one</P >", "<p>one</p>"),
        ("1 < 2 <3 & > &lt;b&gt; &#x1F4CB; &copy;", "1 &lt; 2 &lt;3 &amp; &gt; &lt;b&gt; 📋 ©"),
        ("&nosuch; &#1; &", "&amp;nosuch; &amp;#1; &amp;"),
        (":+1: :100: 10:100:5 10:fire:", "👍️ 💯 10:100:5 10🔥"),
        ("&#123;&#123;x}} &#58;fire:", "{{x}} :fire:"),
    ],
)
def test_text_is_shown_as_it_reads(message: str, expected: str) -> None:
    """Ends of lines, entities, codes of emoji; and what only looks like markup is none."""
    assert shown(message) == expected
    assert found(message) == []


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("x\n<ul>\n <li>a</li>\n <li>b</li>\n</ul>\ny", "x<ul>\n <li>a</li>\n <li>b</li>\n</ul>y"),
        ("<p>a</p>\n\n<p>b</p>\n\n\nc", "<p>a</p>\n\n<p>b</p><br><br>c"),
        ("<br>\n", "<br><br>"),
        ("<b>a</b> <i>b</i>", "<b>a</b> <i>b</i>"),
    ],
)
def test_the_end_of_a_line_beside_a_block_is_the_block_s(message: str, expected: str) -> None:
    """A list that is written over several lines has no empty ones."""
    assert shown(message) == expected


def test_a_slot_is_marked_and_one_without_a_value_is_found() -> None:
    """By the slots of the context; where there is no context nothing is filled."""
    message = "Hi {{ name }}, {{id}} and {{name}}: {{gone}}"
    rendered = render(message, {"slots": {"name": "Ada", "id": 0, "gone": ""}})
    assert rendered.html.startswith("Hi <mark>{{ name }}</mark>, <mark>{{id}}</mark> and ")
    assert [finding.what for finding in rendered.findings] == [
        "{{gone}} has no value in the slots of the context"
    ]
    assert len(found(message, Fault.UNFILLED)) == 3
    assert len(check("{{a}}", {"slots": "odd"})) == 1


def test_a_column_that_nobody_filled_is_found() -> None:
    """A message with names of columns that was planned as a plain one."""
    assert found("Hi {first name}, {} and {1}") == [
        "{first name} is shown as it is, braces and all"
    ]


@pytest.mark.parametrize(
    ("message", "fault", "expected"),
    [
        ("<h1>Big</h1>", Fault.TAG, "<code>&lt;h1&gt;</code>Big<code>&lt;/h1&gt;</code>"),
        ("<!-- x -->", Fault.TAG, "<code>&lt;!-- x --&gt;</code>"),
        (
            "<b class='x y'>Hi</b>",
            Fault.ATTRIBUTE,
            "<code>&lt;b class='x y'&gt;</code>Hi<code>&lt;/b&gt;</code>",
        ),
        ("<br clear=all>", Fault.ATTRIBUTE, "<code>&lt;br clear=all&gt;</code>"),
        ("</b c>", Fault.BROKEN, "<code>&lt;/b c&gt;</code>"),
        ("</i>x", Fault.BROKEN, "<code>&lt;/i&gt;</code>x"),
        ("</br>", Fault.BROKEN, "<code>&lt;/br&gt;</code>"),
        ("<b/>x", Fault.BROKEN, "<code>&lt;b/&gt;</code>x"),
        ("x<b", Fault.BROKEN, "x<code>&lt;b</code>"),
        ("<b>x", Fault.BROKEN, "<b>x</b>"),
        ("<p>a<p>b</p>", Fault.BROKEN, "<p>a</p><p>b</p>"),
        ("<li>a</li>", Fault.BROKEN, "<li>a</li>"),
        ("<ul><li>a<li>b</li></ul>", Fault.BROKEN, "<ul><li>a</li><li>b</li></ul>"),
        (
            "<ul><li>a<ul><li>b</li></ul></li></ul>",
            Fault.NESTED,
            "<ul><li>a<ul><li>b</li></ul></li></ul>",
        ),
        ("<a>x</a>", Fault.LINK, "<code>&lt;a&gt;</code>x<code>&lt;/a&gt;</code>"),
        ("<a href=/x>y", Fault.LINK, "<code>&lt;a href=/x&gt;</code>y"),
        ("<a href=''>y", Fault.LINK, "<code>&lt;a href=''&gt;</code>y"),
        ("<a href=https:x>y", Fault.LINK, "<code>&lt;a href=https:x&gt;</code>y"),
        ("<a href=ftp://x>y", Fault.LINK, "<code>&lt;a href=ftp://x&gt;</code>y"),
        ("<a href='https://[x'>y", Fault.LINK, "<code>&lt;a href='https://[x'&gt;</code>y"),
        (":nosuch: b", Fault.EMOJI, ":nosuch: b"),
        ("a\x00b", Fault.CHARACTER, "a\ufffdb"),
        ("a\ud800b", Fault.CHARACTER, "a\ufffdb"),
        ("\ufffd", Fault.CHARACTER, "\ufffd"),
        ("a\u202eb", Fault.CHARACTER, "a\u202eb"),
    ],
)  # fmt: skip
def test_what_the_vendor_may_not_know_is_shown_and_found(
    message: str, fault: Fault, expected: str
) -> None:
    """Nothing is left out of what is shown."""
    rendered = render(message)
    assert rendered.html == expected
    assert [finding.fault for finding in rendered.findings] == [fault]


def test_a_broken_tag_of_the_vendor_s_own_sample_is_found() -> None:
    """`<ahref=` was shipped without anybody seeing it."""
    message = '<ahref="https://x.example">Open</a>'
    assert shown(message) == (
        '<code>&lt;ahref="https://x.example"&gt;</code>Open<code>&lt;/a&gt;</code>'
    )
    assert [finding.fault for finding in render(message).findings] == [Fault.BROKEN] * 2


def test_a_quote_without_its_partner_makes_a_tag_broken() -> None:
    """So nobody knows where it ends."""
    assert found("<a href='https://x.example>y</a>") == [
        "<a href='https://x.example> is broken",
    ]


def test_a_link_in_a_link_and_one_with_more_than_its_address() -> None:
    """The outer one stays a link."""
    message = '<a href="https://x.example/?a=1&copy=2&amp;b">x<a href=mailto:a@b.example>y</a></a>'
    assert shown(message) == (
        f'<a href="https://x.example/?a=1&amp;copy=2&amp;b" {REL}>x'
        "<code>&lt;a href=mailto:a@b.example&gt;</code>y<code>&lt;/a&gt;</code></a>"
    )
    assert found(message) == ["a link is in a link"]
    assert found('<a href="https://x.example" target=_blank>x</a>') == [
        "<a> has no target in the vendor's samples"
    ]


def test_slots_in_a_link() -> None:
    """In its address they are as good as filled; as all of it nobody knows where it leads."""
    inside = render('<a href="https://x.example/{{id}}">x</a>', {"slots": {"id": "1"}})
    assert inside.html == f'<a href="https://x.example/{{{{id}}}}" {REL}>x</a>'
    assert inside.findings == ()
    assert found('<a href="{{url}}">x</a>') == [
        "{{url}} has no value in the slots of the context",
        '<a href="{{url}}"> leads where a slot says, which nobody can see here',
    ]


def test_tags_that_cross_are_ended_and_found() -> None:
    """Bold ends with what it is in."""
    assert shown("<i><b>x</i></b>") == "<i><b>x</b></i><code>&lt;/b&gt;</code>"
    assert found("<i><b>x</i></b>") == ["<b> has no end", "</b> ends nothing"]


def test_thousands_of_tags_in_each_other_are_no_burden() -> None:
    """The first ones are tags; a browser would give up as well."""
    for tag in ("<b>", "<b x>"):
        rendered = render(tag * 2_000 + "x" + "</b>" * 2_000)
        assert rendered.html.count("<b>") <= 32
        assert read(rendered.html).text.count("<b") >= 1_900


def test_the_length_is_of_code_points_and_its_bytes_are_looked_at() -> None:
    """Nobody says which of the two the vendor counts."""
    assert render("🔥" * 5_000).length == 5_000
    assert found("🔥" * 5_000) == []
    assert found("🔥" * 5_001) == [
        "5,001 characters are 20,004 bytes; the vendor takes 20,000 of one or the other"
    ]
    assert found("x" * (CLOSE - 1)) == []
    assert found("x" * CLOSE) == ["18,000 of 20,000 characters"]


def test_a_finding_says_where_it_is_first_and_how_often_it_does_not_matter() -> None:
    """A thousand equal ones are one."""
    findings = render("ab <u>x</u>" * 1_000).findings
    assert [(finding.fault, finding.at) for finding in findings] == [(Fault.TAG, 4)]
    assert "<u>" not in repr(findings)


def test_a_long_name_is_cut_short() -> None:
    """A finding is a line."""
    assert max(map(len, found(f"<{'x' * 900}> <b {'y' * 900}> {{{{{'z' * 900}}}}}"))) < 150


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_message_is_text(name: str) -> None:
    """Of what it wanted the browser to do nothing is left, and all of it is shown."""
    message = HOSTILE[name]
    rendered = render(message)
    assert_harmless(rendered.html)
    assert "Hello" in read(rendered.html).text
    assert rendered.findings
    assert shown_source(rendered.html) == "".join(html.unescape(message).split())


def shown_source(shown: str) -> str:
    """The text of a page, and its tags that were used, without blanks and entities."""
    reader = read(shown)
    assert {tag for tag, _ in reader.tags} <= {"code", "b", "p"}
    text = shown.replace("<code>", "").replace("</code>", "")
    return "".join(html.unescape(html.unescape(text)).split())


def assert_harmless(shown: str) -> None:
    """Only what is on the list: tags, and the attributes of a link."""
    for tag, attributes in read(shown).tags:
        assert tag in SHOWN_TAGS
        assert attributes.keys() == ({"href", "target", "rel"} if tag == "a" else set())
        if tag == "a":
            address = attributes["href"] or ""
            assert address.lower().startswith(("http://", "https://", "mailto:"))
            assert attributes["rel"] == "noopener noreferrer"


#: Pieces of markup, good and bad, which random text would hardly ever make.
PIECES = st.sampled_from(
    [
        *(f"<{tag}>" for tag in (*TAGS, "script", "svg", "math", "style", "noscript", "!--", "?")),
        *(f"</{tag}>" for tag in (*TAGS, "script", "svg", "style", "title", "textarea")),
        "<a href='", '<a href="https://x/', '">', "'>", "<", ">", "/", "&lt;", "&#x3c;", "&#0;",
        "javascript:", "&Tab;", " onload=", "<a href=mailto:x@y>", "<a\nhref=https://x>", "{{",
        "}}", "{{x}}", ":fire:", ":", "\n", "\r", "\x00", "\x0c", "\x1b", "\ud800", "\u2028",
        "<![CDATA[", "]]>", "-->", "<%", "`", "=", "\\", "<b x", "<p/>", "<li", " ", "x",
    ]
)  # fmt: skip
MESSAGES = st.lists(PIECES | st.text(max_size=5), max_size=40).map("".join) | st.text(max_size=99)


@given(MESSAGES)
def test_no_tag_or_attribute_comes_out_that_is_not_on_the_list(message: str) -> None:
    """Whatever goes in."""
    assert_harmless(render(message).html)


@given(MESSAGES)
def test_what_is_written_is_well_nested_and_nh3_has_nothing_to_do(message: str) -> None:
    """So what is shown does not depend on how a browser mends it: read again, it is the same."""
    rendered = render(message).html
    written = "".join(Walk.through(message, None).out)
    assert read(rendered).text == read(written).text
    assert [tag for tag, _ in read(rendered).tags] == [tag for tag, _ in read(written).tags]


#: What is no markup that is used, nor an entity.
TEXT = st.text(alphabet=st.characters(exclude_characters="<{}:&"), max_size=20)
UNKNOWN = st.sampled_from(
    ["<u>", "</u>", "<script", "<!--", "-->", '<b x="', '">', "<li/>", "</", "<?", "<x:y>", "'"]
)


@given(MESSAGES)
def test_a_quick_look_finds_the_same(message: str) -> None:
    """With HTML and without."""
    assert check(message) == render(message).findings


@given(st.lists(UNKNOWN | TEXT, max_size=40).map("".join))
def test_what_is_not_known_is_shown_whole(message: str) -> None:
    """Character by character, but for blanks."""
    text, source = read(shown(message)).text, message
    assert "".join(text.split()) == "".join(seen(source).split())


def test_the_document_of_a_frame_forbids_whatever_may_be_left() -> None:
    """It stands in a `srcdoc`; its policy holds without the frame's."""
    page = document(render("<b>x</b>"))
    assert page.endswith("<body><b>x</b></body>")
    assert "default-src 'none'" in page


@pytest.mark.parametrize(("missing", "message"), [("nh3", "x"), ("emoji", ":fire:")])
def test_without_the_extra_it_says_what_to_install(missing: str, message: str) -> None:
    """The package itself comes without both; importing it does not need them."""
    program = (
        f"import sys; sys.modules[{missing!r}] = None\n"
        "from moveworks_shift_async.errors import ConfigurationError\n"
        "from moveworks_shift_async.markup.render import render\n"
        f"try: render({message!r})\n"
        "except ConfigurationError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert done.stderr == b""
    assert f"needs {missing}, which is not installed; run: ".encode() in done.stdout
    assert done.stdout.rstrip().endswith(b"-m pip install nh3 emoji")
