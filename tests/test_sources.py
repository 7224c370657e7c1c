"""A recipients file as bytes -> entries with line numbers: formats, encodings, columns, errors."""

from __future__ import annotations

import csv
import io
import json
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moveworks_shift_async import sources
from moveworks_shift_async.errors import InvalidInput

from .gathering import error, gather, read

SAMPLE = Path(sources.__file__).parents[1] / "sandbox" / "people.csv"


# --- the sample ---------------------------------------------------------------------------


def test_the_sample_has_the_counts_the_demo_relies_on() -> None:
    """2,650 rows are 2,535 people, 90 repeats and 25 entries that are no address."""
    data = SAMPLE.read_bytes()
    found = gather(SAMPLE, name="people.csv")
    rows = list(csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline="")))
    assert found.entries == tuple(row["E-Mail Address"] for row in rows)
    assert found.lines == tuple(range(2, 2652))

    cleaned = [entry.strip().lower() for entry in found.entries]
    valid = [text for text in cleaned if _simply_valid(text)]
    assert len(found.entries) == 2650
    assert len(cleaned) - len(valid) == 25
    assert len(set(valid)) == 2535
    assert len(valid) - len(set(valid)) == 90
    assert -(-len(set(valid)) // 500) == 6


def test_the_sample_says_what_it_was_taken_for() -> None:
    """One line names the format, the delimiter, the encoding, the rows and the column."""
    found = gather(SAMPLE, name="people.csv")
    expected = 'people.csv: CSV, comma, UTF-8 with BOM, 2,650 rows, column "E-Mail Address"'
    assert found.describe() == expected
    assert "@" not in repr(found.source)


def test_the_sample_is_as_messy_as_files_are() -> None:
    """It has a byte order mark, Windows line ends, quotes, accents, case and spaces."""
    data = SAMPLE.read_bytes()
    text = data.decode("utf-8")
    found = gather(SAMPLE).entries
    assert text.startswith("\ufeffEmployee ID,")
    assert data.count(b"\r\n") == data.count(b"\n") == 2651
    assert '""' in text
    assert not text[1:].isascii()
    assert sum(entry != entry.strip() for entry in found) > 50
    assert sum(entry != entry.lower() for entry in found) > 200
    domains = {entry.strip().lower().rpartition("@")[2] for entry in found if _simply_valid(entry)}
    assert domains == {"example.com", "example.org", "example.net"}


def _simply_valid(text: str) -> bool:
    name, at, domain = text.strip().partition("@")
    labels = domain.split(".")
    odd = any(character in text.strip() for character in " ,;()") or "@" in domain
    return bool(name and at and all(labels) and len(labels) > 1 and not odd)


# --- tables -------------------------------------------------------------------------------

TABLES = [
    ("comma", "Name,Email\nAnn,a@x.io\n", "csv", ",", "Email", ["a@x.io"], [2]),
    ("semicolon", "Name;Email\nLee, Ann;a@x.io\n", "csv", ";", "Email", ["a@x.io"], [2]),
    ("tab", "Name\tEmail\nAnn\ta@x.io\n", "tsv", "\t", "Email", ["a@x.io"], [2]),
    ("pipe", "Name|Email\nAnn|a@x.io\n", "csv", "|", "Email", ["a@x.io"], [2]),
    ("sep line", "sep=;\r\nName;Email\r\nA,B;a@x.io\r\n", "csv", ";", "Email", ["a@x.io"], [3]),
    ("odd sep", "sep=^\nName^Email\nA^a@x.io\n", "csv", "^", "Email", ["a@x.io"], [3]),
    ("cr", "Name,Email\rAnn,a@x.io\rBob,b@x.io", "csv", ",", "Email", ["a@x.io", "b@x.io"], [2, 3]),
    ("blank lines", "\nid,mail\n\n1,a@x.io\n,,\n2,b@x.io", "csv", ",", "mail",
     ["a@x.io", "b@x.io"], [4, 6]),
    ("quoted newline", 'n,e-mail\n"a\r\n""b""",a@x.io\nc,b@x.io\n', "csv", ",", "e-mail",
     ["a@x.io", "b@x.io"], [2, 4]),
    ("no header", "1,Ann,a@x.io\n2,Bob,b@x.io\n", "csv", ",", None, ["a@x.io", "b@x.io"], [1, 2]),
    ("first has none", "1,Ann,\n2,Bob,b@x.io\n", "csv", ",", None, ["", "b@x.io"], [1, 2]),
    ("ragged", "id,mail,x\n1\n2,b@x.io,x,y,z\n", "csv", ",", "mail", ["", "b@x.io"], [2, 3]),
    ("raw", "id,mail\n1, A@X.io \n2,n/a\n3,A@X.io\n", "csv", ",", "mail",
     [" A@X.io ", "n/a", "A@X.io"], [2, 3, 4]),
    ("angles", "id,mail\n1,Ann <a@x.io>\n2,<b@x.io> \n3,a>b\n", "csv", ",", "mail",
     ["a@x.io", "b@x.io", "a>b"], [2, 3, 4]),
    ("space before quotes", 'Name, Email\n"Lee, A", "a@x.io"\n', "csv", ",", "Email",
     ["a@x.io"], [2]),
    ("inches", 'id,mail,size\n1,a@x.io,5" wide\n', "csv", ",", "mail", ["a@x.io"], [2]),
    ("preamble", "Report,2026\n\nName,Email\nAnn,a@x.io\n", "csv", ",", "Email", ["a@x.io"], [4]),
    ("all quoted", '"Email","Name"\n"a@x.io","Ann"\n', "csv", ",", "Email", ["a@x.io"], [2]),
    ("title", "Our people\n\nName,Email\nAnn,a@x.io\n", "csv", ",", "Email", ["a@x.io"], [4]),
    ("hash header", "#,Name,Email\n1,Ann,a@x.io\n", "csv", ",", "Email", ["a@x.io"], [2]),
    ("unknown name", "Who,Login\nAnn,a@x.io\nBob,b@x.io\n", "csv", ",", "Login",
     ["a@x.io", "b@x.io"], [2, 3]),
    ("name in the notes", "Email;Notes\na@x.io;x, y, z\nb@x.io;u, v, w\n", "csv", ";", "Email",
     ["a@x.io", "b@x.io"], [2, 3]),
    ("header names win", "id,E-Mail,Manager\n1,a@x.io,m@x.io\n", "csv", ",", "E-Mail",
     ["a@x.io"], [2]),
    ("standard name wins", "Personal Email,mail\np@x.io,a@x.io\n", "csv", ",", "mail",
     ["a@x.io"], [2]),
    ("email before mail", "mail,email\np@x.io,a@x.io\n", "csv", ",", "email", ["a@x.io"], [2]),
    ("values decide", "Email sent,Work Email\nyes,a@x.io\n", "csv", ",", "Work Email",
     ["a@x.io"], [2]),
    ("few are valid", "k,v\n1,n/a\n2,n/a\n3,a@x.io\n", "csv", ",", "v",
     ["n/a", "n/a", "a@x.io"], [2, 3, 4]),
    ("long note", 'mail,note\na@x.io,"one\ntwo, three"\n', "csv", ",", "mail", ["a@x.io"], [2]),
    ("cell beyond header", "Who,Where\nAnn,Rome,a@x.io\n", "csv", ",", None, ["a@x.io"], [2]),
]  # fmt: skip


@pytest.mark.parametrize("case", TABLES, ids=[case[0] for case in TABLES])
def test_tables(case: tuple[str, str, str, str, str | None, list[str], list[int]]) -> None:
    """The content alone gives format, delimiter, column, entries and their lines."""
    _, text, form, delimiter, column, entries, lines = case
    found = read(text)
    assert (found.format, found.delimiter, found.column) == (form, delimiter, column)
    assert (list(found.entries), list(found.lines)) == (entries, lines)


@pytest.mark.parametrize(
    "name",
    ["email", "E-MAIL", "mail", "E-Mail Address", "emailAddress", "work email",
     "userPrincipalName", "UPN", "Primary Email", "e_mail", "Recipients"],
)  # fmt: skip
def test_known_names_win_over_other_columns_of_addresses(name: str) -> None:
    """A column named for addresses is taken although another one holds addresses too."""
    assert read(f"Boss,{name}\nm@x.io,a@x.io\n").entries == ("a@x.io",)


@pytest.mark.parametrize(
    ("column", "entries"),
    [
        ("Boss", "m@x.io"),
        (" boss ", "m@x.io"),
        ("3", "m@x.io"),
        ("BOSS", "m@x.io"),
        ("2", "a@x.io"),
    ],
)
def test_a_column_asked_for_is_taken(column: str, entries: str) -> None:
    """A name is compared exactly, then without case; a number counts from 1."""
    assert read("id,Email,Boss\n1,a@x.io,m@x.io\n", column).entries == (entries,)


def test_a_name_matches_exactly_before_it_matches_without_case() -> None:
    """Of "mail" and "MAIL" the one spelled as asked is taken."""
    assert read("MAIL,mail\nm@x.io,a@x.io\n", "mail").entries == ("a@x.io",)


def test_a_number_chooses_where_there_is_no_header() -> None:
    """Without a header the column is chosen by number and has no name."""
    found = read("1;m@x.io;a@x.io\n2;m@x.io;b@x.io\n", "3")
    assert (found.entries, found.column, found.column_number) == (("a@x.io", "b@x.io"), None, 3)
    assert found.describe() == "people.csv: CSV, semicolon, UTF-8, 2 rows, column 3 (no header)"


def test_an_asked_name_marks_the_header() -> None:
    """A title above the header does not hide a column that was asked for."""
    assert read("Team,2026\nWho,Login\nAnn,a@x.io\n", "login").lines == (3,)


def test_rows_after_the_sample_are_read() -> None:
    """The first thousand rows decide how to read; all rows are read."""
    rows = "".join(f"{n},a{n}@example.com,{'x' * 500}\n" for n in range(3000))
    found = read(f"id,mail,note\n{rows}")
    assert found.lines == tuple(range(2, 3002))
    assert found.entries[-1] == "a2999@example.com"


# --- quotes that would swallow people ------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('id,mail,n\n1,a@x.io,"Ann\n2,b@x.io,Bob\n', 2),
        ('id,mail,n\n1,a@x.io,Ann\n2,b@x.io,"Bob\n3,c@x.io,"Cid"\n', 3),
        ('n,mail\n"a\nb","a@x.io\nc,c@x.io\n', 3),
        ('n,mail\nx,y@x.io\n"a\r\nb",c,"a@x.io\r\n', 4),
        ('sep=,\nn,mail\n"Ann"x,a@x.io\n', 3),
        ('id,n,mail\n1,"5 inch,a@x.io\n2,5",b@x.io\n', 2),
        ('mail,n\na@x.io,"Ann\nb@x.io,Bob"\n', 2),
        ('id,mail\n1,"a@x.io\n' + "2,b@x.io\n" * 50_000, 2),
        ('id,mail\n0,a@x.io\n1,"a@x.io\n' + "2,b@x.io\n" * 50_000, 3),
    ],
)
def test_an_open_quote_is_an_error_at_its_line(text: str, line: int) -> None:
    """A quote that is not closed names its line; no row is swallowed in silence."""
    message = error(text)
    assert message.startswith(f"people.csv, line {line}:")
    assert "quote" in message


# --- plain text ---------------------------------------------------------------------------

TEXTS = [
    ("one a line", "a@x.io\r\n\r\nb@x.io", ["a@x.io", "b@x.io"], [1, 3]),
    ("comments", "# team, all\na@x.io\n#b@x.io\n", ["a@x.io"], [2]),
    ("commas", "a@x.io, b@x.io\nc@x.io\n", ["a@x.io", "b@x.io", "c@x.io"], [1, 1, 2]),
    ("one line", "a@x.io; b@x.io;c@x.io;", ["a@x.io", "b@x.io", "c@x.io"], [1, 1, 1]),
    ("spaces", "a@x.io b@x.io\n", ["a@x.io", "b@x.io"], [1, 1]),
    ("names", 'Ann <a@x.io>; "Lee, Bob" <b@x.io>', ["a@x.io", "b@x.io"], [1, 1]),
    ("names and spaces", "A <a@x.io> B <b@x.io>", ["a@x.io", "b@x.io"], [1, 1]),
    ("quoted", '"Email"\n"a@x.io"\n"b@x.io"\n', ["a@x.io", "b@x.io"], [2, 3]),
    ("broken stay whole", "ann lee@x.io\na@x.io\n", ["ann lee@x.io", "a@x.io"], [1, 2]),
    ("open quote", 'a@x.io\n"b@x.io\nc@x.io\n', ["a@x.io", '"b@x.io', "c@x.io"], [1, 2, 3]),
    ("comment and one", "# x, y\na@x.io", ["a@x.io"], [2]),
]


@pytest.mark.parametrize(
    ("text", "entries", "lines"), [case[1:] for case in TEXTS], ids=[case[0] for case in TEXTS]
)
def test_plain_text(text: str, entries: list[str], lines: list[int]) -> None:
    """Every piece of a line is an entry, with its line's number."""
    found = read(text)
    assert found.format == "text"
    assert (list(found.entries), list(found.lines)) == (entries, lines)


def test_a_name_on_the_first_line_is_a_header() -> None:
    """A list under the word "E-Mail" has that name; it may be asked for."""
    found = read("E-Mail\na@x.io\n")
    assert found.describe() == 'people.csv: plain text, UTF-8, 1 entry, column "E-Mail"'
    assert read("Login\na@x.io\n", "login").entries == ("a@x.io",)


def test_plain_text_counts_entries() -> None:
    """The description of plain text has no column."""
    assert read("a@x.io\nb@x.io").describe() == "people.csv: plain text, UTF-8, 2 entries"


def test_plain_text_has_no_other_column() -> None:
    """Asking for a column of plain text is an error that says to leave it out."""
    assert "leave out --column" in error("a@x.io\nb@x.io\n", "Boss")
    assert "no entries" in error("# nobody\n")
    assert "no entries" in error("Email\n")
    assert "none of 2 entries" in error("Email\nnobody\n")


# --- JSON ---------------------------------------------------------------------------------

RECORDS = [
    ("objects", '{"id": 1, "eMail": "a@x.io"}\n\n{"eMail": null}\n{}\n', "jsonl", "eMail",
     ["a@x.io", "", ""], [1, 3, 4]),
    ("strings", '"a@x.io"\n"B <b@x.io>"', "jsonl", None, ["a@x.io", "b@x.io"], [1, 2]),
    ("mixed", '{"mail": "a@x.io"}\n"b@x.io"\n', "jsonl", "mail", ["a@x.io", "b@x.io"], [1, 2]),
    ("number", '{"mail": "a@x.io"}\n{"mail": 7}\n', "jsonl", "mail", ["a@x.io", "7"], [1, 2]),
    ("array", '[\n"a@x.io",\r\n "b@x.io"\n]\n', "json", None, ["a@x.io", "b@x.io"], [2, 3]),
    ("objects in an array", '[{"mail": "a@x.io"},\n\n{\n"mail": "b@x.io"}]', "json", "mail",
     ["a@x.io", "b@x.io"], [1, 3]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "form", "key", "entries", "lines"),
    [case[1:] for case in RECORDS],
    ids=[case[0] for case in RECORDS],
)
def test_json(text: str, form: str, key: str | None, entries: list[str], lines: list[int]) -> None:
    """Objects give the value of the address's key, strings themselves."""
    found = read(text)
    assert (found.format, found.column) == (form, key)
    assert (list(found.entries), list(found.lines)) == (entries, lines)


def test_json_says_which_key_it_took() -> None:
    """The description of JSON names a key, not a column."""
    found = read('{"upn": "a@x.io"}')
    assert found.describe() == 'people.csv: JSON Lines, UTF-8, 1 row, key "upn"'


@pytest.mark.parametrize(
    ("text", "line", "part"),
    [
        ('{"mail": "a@x.io"}\n{"mail": \n', 2, "column 9: not JSON"),
        ('{"mail": "a@x.io"} {}\n', 1, "column 19: not JSON, more than one value"),
        ('{"mail": "a@x.io"}\n3\n', 2, "neither a JSON object nor a string"),
        ('{"mail": "a@x.io"}\n{"mail": ["b@x.io"]}\n', 2, "nested"),
        ('{"mail": "a@x.io"}\n{"mail": ' + "9" * 5000 + "}\n", 2, "too long"),
        ('{"mail": "a@x.io"}\n' + "[" * 200_000, 2, "too deep"),
        ('{"user": {"mail": "a@x.io"}}\n', 1, "nested values are not read"),
        ('{"user": "Ann"}\n', 1, 'the columns are "user"'),
        ('["a@x.io",\n {"mail":\n oops}]', 3, "column 2: not JSON"),
        ('["a@x.io",\n"b@x.io"', 2, "column 9: not JSON, the array does not end"),
        ('["a@x.io"]\n["b@x.io"]', 2, "column 1: not JSON, the array does not end"),
        ('["a@x.io"\n"b@x.io"]', 2, "column 1: not JSON, the array does not end"),
    ],
)
def test_broken_json_is_an_error_at_its_place(text: str, line: int, part: str) -> None:
    """Broken, nested and odd JSON names its line and what is wrong there."""
    message = error(text)
    assert message.startswith(f"people.csv, line {line}:")
    assert part in message


def test_strings_have_no_key() -> None:
    """Asking for a key of bare strings is an error; an empty array has nobody in it."""
    assert "leave out --column" in error('["a@x.io"]', "mail")
    assert "nobody to send to" in error("[ ]")


# --- columns that cannot be chosen ----------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "column", "parts"),
    [
        ("work email,personal email\na@x.io,b@x.io\n", None,
         ['column 1 ("work email") and column 2 ("personal email")', "--column NAME"]),
        ("Email,Name,Email\na@x.io,A,b@x.io\n", None, ["column 1", "--column NUMBER"]),
        ("Email,Name,Email \na@x.io,A,b@x.io\n", None, ["column 1", "--column NUMBER"]),
        ("Email,Name,Email\na@x.io,A,b@x.io\n", "Email", ["column 3", "--column NUMBER"]),
        ("Work Email,Boss\n,m@x.io\n", None, ["column 1", "column 2", "--column NAME"]),
        ("1,A,a@x.io,b@x.io\n", None, ["column 3 and column 4", "--column NUMBER"]),
        ("Name,Town\nAnn,Rome\n", None, ["no column holds", '"Name", "Town"', "--column NAME"]),
        ("1,Rome\n2,Oslo\n", None, ["no column holds", "up to 2 columns", "--column NUMBER"]),
        ("Name,Email\nA,a@x.io\n", "Boss", ['no column "Boss"', '"Name", "Email"']),
        ("Name,Email\nA,a@x.io\n", "3", ['no column "3"']),
        ("1,a@x.io\n2,b@x.io\n", "0", ['no column "0"', "--column NUMBER"]),
        (",".join(f"c{n}" for n in range(30)) + "\n" + "x," * 30, None, ['"c19", ...']),
        ("x" * 80 + ",Town\nAnn,Rome\n", None, ['"' + "x" * 57 + '..."']),
    ],
)  # fmt: skip
def test_no_clear_column_is_an_error_that_says_what_to_do(
    text: str, column: str | None, parts: list[str]
) -> None:
    """The error names the columns that are there and the option that chooses one."""
    message = error(text, column)
    assert message.startswith("people.csv, line 1:")
    assert [part for part in parts if part not in message] == []


# --- nobody -------------------------------------------------------------------------------


@pytest.mark.parametrize("data", [b"", b" \r\n\t\n", b"\xef\xbb\xbf", "\n".encode("utf-16")])
def test_an_empty_file_is_an_error(data: bytes) -> None:
    """No content is said to be no content."""
    assert "the file is empty" in error(data)


@pytest.mark.parametrize("text", ["Name,Email\n", "sep=;\nName;Email", "sep=;\n"])
def test_only_a_header_is_an_error(text: str) -> None:
    """A header without rows has nobody to send to."""
    assert "no rows below it" in error(text)


@pytest.mark.parametrize(
    ("text", "line", "where"),
    [
        ("Name,Email\nA,n/a\nB,\nC,x\nD,y\n", 2, "lines 2, 3, 4"),
        ("nobody\n\nnowhere\n", 1, "lines 1, 3"),
        ('{"mail": "x"}\n', 1, "lines 1"),
    ],
)
def test_nobody_valid_is_an_error_at_the_first_entries(text: str, line: int, where: str) -> None:
    """Without one valid entry the first lines that failed are named."""
    message = error(text)
    assert message.startswith(f"people.csv, line {line}: none of")
    assert where in message


# --- encodings ----------------------------------------------------------------------------

PEOPLE = "Name;Email\nJürgen Müller;j@x.io\nRenée Brontë;r@x.io\n"


@pytest.mark.parametrize(
    ("codec", "encoding", "words"),
    [
        ("utf-8", "utf-8", "UTF-8"),
        ("utf-8-sig", "utf-8-sig", "UTF-8 with BOM"),
        ("utf-16", "utf-16", "UTF-16 with BOM"),
        ("utf-32", "utf-32", "UTF-32 with BOM"),
        ("utf-16-le", "utf-16-le", "UTF-16 LE"),
        ("utf-16-be", "utf-16-be", "UTF-16 BE"),
        ("cp1252", "cp1252", "cp1252 (a guess)"),
    ],
)
def test_encodings(codec: str, encoding: str, words: str) -> None:
    """The encoding is found from the bytes, with a byte order mark or without."""
    found = read(PEOPLE, encoding=codec)
    assert found.encoding == encoding
    assert found.entries == ("j@x.io", "r@x.io")
    assert found.describe() == f'people.csv: CSV, semicolon, {words}, 2 rows, column "Email"'


@pytest.mark.parametrize(
    ("codec", "name"),
    [("cp1251", "Иванова Ольга Сергеевна"), ("cp932", "田中太郎、東京都"),
     ("gb18030", "王小明在北京工作"), ("cp1250", "Łukasz Żółć"), ("mac_roman", "Zoë"),
     ("latin-1", "Zoë")],
)  # fmt: skip
def test_old_encodings_lose_no_address(codec: str, name: str) -> None:
    """Whatever an old encoding is taken for, the addresses are the same."""
    rows = "".join(f"{name} {n},a{n}@example.com\n" for n in range(40))
    found = read("Name,Email\n" + rows, encoding=codec)
    assert found.entries == tuple(f"a{n}@example.com" for n in range(40))


def test_late_bytes_are_guessed_too() -> None:
    """A first accent deep in a long file is judged by the end of the file."""
    rows = "".join(f"Ann {n},a{n}@example.com\n" for n in range(60_000))
    found = read(f"Name,Email\n{rows}Zoë,z@example.com\n", encoding="cp1252")
    assert found.encoding == "cp1252"
    assert len(found.entries) == 60_001


def test_without_charset_normalizer_the_error_names_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """UTF-8 needs no extra; another encoding says which one to install."""
    monkeypatch.setitem(sys.modules, "charset_normalizer", None)
    assert read(PEOPLE).encoding == "utf-8"
    message = error(PEOPLE.encode("cp1252"))
    assert message.startswith("people.csv, line 2: not UTF-8")
    assert "-m pip install charset-normalizer" in message


def test_bytes_that_break_their_own_mark_are_an_error() -> None:
    """A file that says UTF-8 and is not names the line."""
    message = error(b"\xef\xbb\xbfName,Email\nJ\xfcrgen,j@x.io\n")
    assert message.startswith("people.csv, line 2: a byte that is not utf-8-sig")


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"PK\x03\x04\x14\x00", "Excel workbook (xlsx) or a zip"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\x00", "xls"),
        (b"%PDF-1.7\n", "PDF"),
        (b"\x1f\x8b\x08\x00", "gzip"),
        (b"PAR1\x15\x04", "Parquet"),
        (b"a@x.io\nb\x00@x.io\n", "binary"),
        (b"a@x.io\n\xff\x00\x00@x.io\n", "binary"),
        (b"\x01\x02\x03\x04\x05\x06abc", "binary"),
        (bytes(range(1, 256)) * 3, "binary"),
    ],
)
def test_a_binary_file_is_an_error_that_says_what_it_is(data: bytes, kind: str) -> None:
    """Files that are no text are named for what they look like, with what to do."""
    message = error(data)
    assert kind in message
    assert "export it as CSV" in message


def test_a_little_dirt_is_no_binary_file() -> None:
    """The end mark of old DOS files, or one stray control character, is let through."""
    assert read("a@x.io\n" * 50 + "\x1a").entries[:50] == ("a@x.io",) * 50


# --- laws ---------------------------------------------------------------------------------

WORDS = st.text(alphabet='abé "\n\r,;|\t.x', max_size=8)
ENTRIES = st.one_of(
    st.from_regex(r"[a-z]{1,5}@[a-z]{1,5}\.(com|org) ?", fullmatch=True),
    st.sampled_from(["", "n/a", "a@@b", "no at all", 'q"uote', "a,b;c|d\te", "two\nlines"]),
)


@given(
    rows=st.lists(st.tuples(WORDS, ENTRIES, WORDS), max_size=12),
    delimiter=st.sampled_from(",;\t|"),
    codec=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252"]),
    end=st.sampled_from(["\n", "\r\n"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]),
)
def test_what_is_written_is_read_back(
    rows: list[tuple[str, str, str]], delimiter: str, codec: str, end: str, quoting: int
) -> None:
    """Entries and first lines survive every delimiter, encoding, line end and way of quoting."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=delimiter, lineterminator=end, quoting=quoting)  # type: ignore[arg-type]
    writer.writerow(["id", "Name", "E-Mail", "Note"])
    lines = []
    rows = [("first", "a@example.com", "x"), *rows]
    for number, (name, entry, note) in enumerate(rows):
        # Before Python 3.13 the writer leaves a bare \r unquoted where lines end in \n.
        texts = [name, entry, note]
        if end == "\n":
            texts = [text.replace("\r", "") for text in texts]
        lines.append(len(io.StringIO(out.getvalue(), newline=None).readlines()) + 1)
        writer.writerow([f"n{number}", *texts])
    found = read(out.getvalue().encode(codec))
    assert found.entries == tuple(entry for _, entry, _ in rows)
    assert found.lines == tuple(lines)
    assert (found.delimiter, found.column) == (delimiter, "E-Mail")


@given(entries=st.lists(ENTRIES, max_size=12), array=st.booleans())
def test_json_is_read_back(entries: list[str], array: bool) -> None:
    """JSON in one line a value, as lines or as an array, gives the same entries and lines."""
    values = [{"mail": entry} for entry in ["a@example.com", *entries]]
    texts = [json.dumps(value) for value in values]
    text = "[" + ",\n".join(texts) + "]" if array else "\n".join(texts)
    found = read(text)
    assert found.entries == ("a@example.com", *entries)
    assert found.lines == tuple(range(1, len(values) + 1))


@given(st.binary(max_size=200))
def test_any_bytes_end_in_entries_or_in_one_clear_error(data: bytes) -> None:
    """No bytes lead to another error than InvalidInput, and every entry has a line."""
    _check(data)


@given(st.text(alphabet='a@.x,;"<>\n\r[]{}:# \t|=', max_size=60))
def test_any_text_ends_in_entries_or_in_one_clear_error(text: str) -> None:
    """The same for texts made of the characters that mean something in some format."""
    _check(text.encode())


def _check(data: bytes) -> None:
    with suppress(InvalidInput):
        found = read(data)
        assert len(found.entries) == len(found.lines) > 0
        assert list(found.lines) == sorted(found.lines)
