"""Messages that name columns: each row's values go in, and nothing is read as a template twice."""

from __future__ import annotations

import html
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moveworks_shift_async.errors import InvalidInput
from moveworks_shift_async.jobs.plan.template import Template, cut, escape_html, missing

NAMES = st.text(st.characters(exclude_characters="{}", codec="utf-8"), min_size=1).filter(str.strip)


def told(message: str, *values: str, **options: Any) -> str:
    """The message of a template for one row."""
    return Template.parse(message, **options).render(values)[0]


@given(st.text())
def test_escaping_can_be_undone_and_leaves_no_markup(text: str) -> None:
    """A browser reads back the same text, and none of the seven characters is left."""
    escaped = escape_html(text)
    assert html.unescape(escaped) == text
    assert not set("<>\"'{}") & set(escaped)
    assert escaped.count("&") == sum(text.count(sign) for sign in "&<>\"'{}")


def test_the_vendors_markup_in_a_value_is_text() -> None:
    """A person called `{{employee}}` is shown as such; unescaped, a value is markup."""
    assert told("Hello {name}", "{{employee}}") == "Hello &#123;&#123;employee&#125;&#125;"
    assert told("Hello {name}", "{{employee}}", escape=False) == "Hello {{employee}}"


def test_no_text_is_made_to_be_refused() -> None:
    """A column named often, with a long value, is an error before a gigabyte is put together."""
    tracemalloc.start()
    for template, context in (("{a}" * 10_000, None), ("Hi {a}", {"x": "{a}" * 10_000})):
        with pytest.raises(InvalidInput, match=r"more than 20000 characters|too long") as error:
            told(template, "x" * 100_000, context=context)
        assert "xx" not in str(error.value)
    with pytest.raises(InvalidInput, match="1100000 characters"):
        told("x" * 1_100_000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100_000_000


def test_the_characters_become_entities() -> None:
    """Both quotes too: a value may stand in an attribute. Braces are the vendor's."""
    assert escape_html("""&<>"'{}""") == "&amp;&lt;&gt;&quot;&#x27;&#123;&#125;"


@given(st.lists(st.tuples(st.text(), NAMES, st.text()), min_size=1, max_size=4))
def test_each_name_is_replaced_by_its_value_once(parts: list[tuple[str, str, str]]) -> None:
    """Whatever the literal text and the values hold: braces and percent signs of values stay."""
    literals = [text.translate({ord("{"): None, ord("}"): None}) for text, _, _ in parts]
    values = {name.strip(): value for _, name, value in parts}
    message = "".join(
        f"{literal}{{{name}}}" for literal, (_, name, _) in zip(literals, parts, strict=True)
    )
    template = Template.parse(message, escape=False)
    wanted = "".join(
        literal + values[name.strip()].strip()
        for literal, (_, name, _) in zip(literals, parts, strict=True)
    )
    assert template.render([values[name] for name in template.columns])[0] == wanted


@given(st.text(min_size=1).filter(lambda text: not set("{}") & set(text)))
def test_a_text_without_braces_is_itself(text: str) -> None:
    """Percent signs, line ends and everything else stay."""
    assert told(text) == text


def test_values_are_escaped_in_the_message_alone() -> None:
    """The context is data; its strings get the value as it is."""
    template = Template.parse("Hi {name}", {"slots": {"team": "{name}", "n": 1, "x": ["{name}!"]}})
    message, context = template.render(["R&D <Ops>"])
    assert message == "Hi R&amp;D &lt;Ops&gt;"
    assert context == {"slots": {"team": "R&D <Ops>", "n": 1, "x": ["R&D <Ops>!"]}}
    assert told("Hi {name}", "R&D", escape=False) == "Hi R&D"


def test_the_vendors_own_braces_stay() -> None:
    """`{{slot}}` goes out as it is, beside a column."""
    assert told("{{greeting}} {name} {{ x }}{{}}", "Ann") == "{{greeting}} Ann {{ x }}{{}}"


def test_names_may_hold_spaces() -> None:
    """Spaces in a name count, those around it and around a value do not."""
    template = Template.parse("{First Name}, { First Name } {City}")
    assert template.columns == ("First Name", "City")
    assert template.render([" Ann ", "Rome"])[0] == "Ann, Ann Rome"


def test_keys_are_no_templates() -> None:
    """A key of the context stays as it is."""
    assert Template.parse("x", {"{name}": 1}).render(()) == ("x", {"{name}": 1})


@pytest.mark.parametrize(
    ("message", "at"),
    [("a } b", 3), ("a { b", 3), ("{}", 1), ("x{ }", 2), ("{{{a}}}", 1), ("{{a}", 1), ("{a}}", 4)],
)
def test_an_odd_brace_is_named_with_its_place(message: str, at: int) -> None:
    """The error says where it stands and what to write instead."""
    with pytest.raises(InvalidInput, match=rf"^message, character {at}: .*&#123; for a brace$"):
        Template.parse(message)


def test_places_in_the_context_have_their_path() -> None:
    """Mappings by key, lists by number."""
    with pytest.raises(InvalidInput, match=r"^context\.slots\.a\[1\], character 2: a brace"):
        Template.parse("x", {"slots": {"a": ["fine", "-{"]}})


def test_an_unknown_column_is_named_with_the_known_ones() -> None:
    """The first wrong name, where it stands, and what there is."""
    template = Template.parse("Hi {mail} {frist}", {"slots": {"a": "{last}"}})
    template.check(["mail", "frist", "last"])
    with pytest.raises(InvalidInput) as error:
        template.check(["mail", "first", "last"])
    assert str(error.value) == (
        'message, character 11: "frist" is no column; the columns are "mail", "first", "last"'
    )
    with pytest.raises(InvalidInput, match=r"context\.slots\.a, character 1: .last. is no column"):
        template.check(["mail", "frist"])
    with pytest.raises(InvalidInput, match=r"there are no columns$"):
        template.check([])


@pytest.mark.parametrize("message", ["", 5])
def test_a_template_must_be_text(message: Any) -> None:
    """As a message must."""
    with pytest.raises(InvalidInput, match="message"):
        Template.parse(message)


def test_the_context_must_be_json() -> None:
    """As it must without a template."""
    with pytest.raises(InvalidInput, match="context"):
        Template.parse("x", {"slots": {1, 2}})


def test_missing_values_are_found() -> None:
    """No value, an empty one and a blank one."""
    columns = ["a", "b", "c", "d"]
    assert [*missing(columns, ["1", None, "", " "])] == ["b", "c", "d"]


def test_a_template_shows_no_text() -> None:
    """Its repr has the columns only."""
    shown = repr(Template.parse("secret {a}", {"slots": {"s": "secret"}}))
    assert "secret" not in shown
    assert "'a'" in shown
    assert "secret" not in repr(cut("secret {a}", "message"))
