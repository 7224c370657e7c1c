"""Foreign texts on one line, without addresses, and as a shell reads them."""

from __future__ import annotations

import shlex
import subprocess
import sys

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from moveworks_shift_async.text import covered, duration, one_line, shell_word


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("ann@example.com is no recipient", "[address] is no recipient"),
        ("'ann@example.com', <bob@example.com>", "'[address]', <[address]>"),
        ("@@a@b@c, @ and a@", "@@[address], @ and a@"),
        ("/home/ann@example.com/tonight.journal\x1b[2J", "[address]"),
        ("half past @ eight", "half past @ eight"),
    ],
)
def test_what_looks_like_an_address_is_hidden(text: str, shown: str) -> None:
    """And all of it is one line."""
    assert covered(text) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "0 s"),
        (0.001, "0.1 s"),
        (4.26, "4.3 s"),
        (59.6, "1 min"),
        (3720, "1 h 02 min"),
        (95 * 3600, "95 h 00 min"),
        (100 * 3600, "4 days"),
        (250_000_000, "2,893 days"),
    ],
)
def test_a_time_is_told_as_people_count_it(seconds: float, shown: str) -> None:
    """What takes a moment takes some time, and nobody counts the hours of a year."""
    assert duration(seconds) == shown


@pytest.mark.parametrize("text", ["a" * 500_000, "a@" * 250_000, "@" * 500_000, "a " * 250_000])
def test_no_text_makes_hiding_slow(text: str) -> None:
    """A quadratic search would take hours for this; the test has an end only where it has none."""
    assert covered(text)


@given(st.text(alphabet=st.characters(exclude_characters="\0"), min_size=1))
@example("\ud800")
def test_a_name_for_a_shell_is_one_printable_line(name: str) -> None:
    """Nothing of a name reaches the terminal that is not to be seen."""
    word = shell_word(name)
    assert word.isprintable()
    assert not word.startswith("-")
    if name.isprintable():
        assert shlex.split(word) in ([name], [f"./{name}"])


@pytest.mark.skipif(sys.platform == "win32", reason="asks bash")
@settings(deadline=None, max_examples=20)
@given(st.binary(min_size=1).filter(lambda name: b"\0" not in name))
def test_a_shell_reads_the_name_that_it_is(name: bytes) -> None:
    """Whatever bytes it is made of."""
    word = shell_word(name.decode(errors="surrogateescape"))
    said = subprocess.run(
        ["bash", "-c", f"printf %s {word}"], capture_output=True, check=True
    ).stdout  # fmt: skip
    assert said in (name, b"./" + name)
    assert one_line(word) == word or "  " in word
