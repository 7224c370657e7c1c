"""Recipients that are made, or happen, to cost more than they are: bounded in memory, in time, and
by an error that says where.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import tracemalloc
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]
import pytest

from moveworks_shift_async.errors import InvalidInput, NotSent
from moveworks_shift_async.sources import (
    block,
    csv_rows,
    decoding,
    document,
    files,
    iterables,
    json_values,
    objects,
    open_recipients,
    parquet,
    plaintext,
    workbook,
)
from moveworks_shift_async.sources.refusals import quoted

from .gathering import error, gather, read


def refusal(where: Path | str, **given: Any) -> str:
    """The error, which names the file."""
    with pytest.raises(InvalidInput) as caught:
        gather(where, **given)
    assert str(caught.value).startswith(str(where))
    return str(caught.value).removeprefix(str(where))


def peak_of(call: Callable[[], object]) -> int:
    """The most memory that Python's own objects had meanwhile, in bytes."""
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def written(path: Path, parts: Iterable[bytes]) -> Path:
    """A file, written part by part."""
    with path.open("wb") as file:
        file.writelines(parts)
    return path


MEGA = b"x" * 1_000_000

# --- what a file is -----------------------------------------------------------------------


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/null"])
def test_a_device_is_refused(device: str) -> None:
    """It may never end."""
    assert refusal(device) == " cannot be read: it is a device; give a file"


def test_a_device_as_standard_input_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a shell's `< /dev/zero` gives it."""
    with Path("/dev/zero").open(encoding="utf-8") as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        with pytest.raises(InvalidInput, match="standard input cannot be read: it is a device"):
            gather("-")


def test_a_pipe_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A temporary file takes no more than that."""
    monkeypatch.setattr(files, "_MOST_COPIED", 3_000_000)
    os.mkfifo(tmp_path / "pipe")

    def fill() -> None:
        pipe = os.open(tmp_path / "pipe", os.O_WRONLY)
        with contextlib.suppress(BrokenPipeError):
            while True:
                os.write(pipe, b"a@x.io\n" * 10_000)
        os.close(pipe)

    thread = threading.Thread(target=fill)
    thread.start()
    try:
        assert "more than 3,000,000 bytes came, and no end" in refusal(tmp_path / "pipe")
    finally:
        thread.join()


def test_a_pipe_that_nobody_writes_to_can_be_left(tmp_path: Path) -> None:
    """Whether to go on is asked while it waits."""
    os.mkfifo(tmp_path / "pipe")
    asked: list[int] = []

    def go_on() -> None:
        asked.append(1)
        if len(asked) > 2:
            raise NotSent("stopped")

    with pytest.raises(NotSent), open_recipients(tmp_path / "pipe", go_on=go_on):
        pass


def test_a_folder_and_a_file_of_no_size(tmp_path: Path) -> None:
    """A folder is refused; a file that a system makes up as it is read is read."""
    assert "Is a directory" in refusal(tmp_path)
    with pytest.raises(InvalidInput, match=r"no column|none of"):
        gather("/proc/version")


@pytest.mark.parametrize("change", [b"b@x.io\n", None])
@pytest.mark.parametrize("name", ["p.txt", "p.csv"])
def test_a_file_that_grows_or_shrinks_is_an_error(
    tmp_path: Path, change: bytes | None, name: str
) -> None:
    """Nobody is lost at its end, and nobody is read who came while it was."""
    path = tmp_path / name
    head = b"mail,n\n" if name == "p.csv" else b""
    path.write_bytes(head + b"a@x.io,1\n" * 300_000)
    with open_recipients(path) as source:
        parts = source.blocks()
        next(parts)
        if change is None:
            os.truncate(path, 1_000_000)
        else:
            with path.open("ab") as file:
                file.write(change)
        late: list[str] = []
        with pytest.raises(InvalidInput, match="changed while it was read; try again"):
            late.extend(entry for part in parts for entry in part.entries)
        assert "b@x.io" not in late


def test_a_file_that_is_replaced_is_read_as_it_was(tmp_path: Path) -> None:
    """Another file of its name is another file."""
    path = tmp_path / "p.txt"
    path.write_bytes(b"a@x.io\n" * 300_000)
    with open_recipients(path) as source:
        (tmp_path / "new").write_bytes(b"b@x.io\n")
        (tmp_path / "new").replace(path)
        assert sum(len(part.entries) for part in source.blocks()) == 300_000


# --- long lines and values ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("head", "line"),
    [(b"mail,note\na@x.io,", 2), (b"a@x.io\n", 2), (b"", 1), (b'{"mail":"a@x.io","n":"', 1)],
)
def test_a_line_that_cannot_be_held_is_named(tmp_path: Path, head: bytes, line: int) -> None:
    """Whatever the format, before any of it is read as rows."""
    path = written(tmp_path / "p", [head, *[MEGA] * 40, b"\n"])
    peak = peak_of(
        lambda: (
            refusal(path).startswith(f", line {line}: a line of more than 8,388,608")
            or pytest.fail("another error")
        )
    )
    assert peak < 30_000_000


def test_an_array_in_one_line_is_no_long_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is read through a window."""
    monkeypatch.setattr(document, "LONGEST_LINE", 100)
    monkeypatch.setattr(decoding, "LONGEST_LINE", 100)
    assert len(read("[" + ",".join(['"a@x.io"'] * 100) + "]").entries) == 100
    assert "a line of more than" in error("a@x.io," * 100)


def test_rows_of_any_width_are_held_in_bounded_memory(tmp_path: Path) -> None:
    """A block ends early where its rows are long."""
    row = b"a@x.io" + b",ab" * 20_000 + b"\n"
    path = written(tmp_path / "p.csv", [b"mail" + b",n" * 20_000 + b"\n", *[row] * 300])
    with open_recipients(path) as source:
        parts = source.blocks()
        next(parts)
        counts: list[int] = []
        peak = peak_of(lambda: counts.extend(len(part.lines) for part in parts))
    assert sum(counts) > 150
    assert max(counts) <= 2 * csv_rows._FETCHED
    assert peak < 300_000_000


def test_rows_that_are_too_long_together_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the first row of them that was not read."""
    monkeypatch.setattr(csv_rows, "_MOST_FETCHED", 300_000)
    note = ",".join(['"' + "x\n" * 20_000 + '"'] * 20)
    message = error(f"mail,n\na@x.io,1\na@x.io,{note}\n")
    assert message.startswith("people.csv, line 3: rows of more than 300,000 characters")


def test_a_header_without_end_is_no_empty_table() -> None:
    """It is not said that there are no rows."""
    text = "mail" + ",x" * 300_000 + "\n" + "a@x.io" + ",1" * 300_000 + "\n"
    assert "line 1: this row and the next have more than 400,000 characters" in error(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"mail":"a@x.io"}\n{"mail":"b@x.io","n":"' + "x" * 1_100_000 + '"}',
         "line 2: a value of"),
        ("[" * 100_000, "line 1: a number is too long or the value is nested too deep"),
        ('{"a":' * 100_000, "line 1: a number is too long or the value is nested too deep"),
        ('["a@x.io",\n' + "1" * 1_000_000 + "]", "line 2: a number is too long"),
        ('{"mail":"a@x.io","n":' + "1" * 1_000_000 + "}", "line 1: a number is too long"),
        ("\n".join(f'{{"mail":"a@x.io","k{n}":1}}' for n in range(900)), ""),
    ],
)  # fmt: skip
def test_values_of_json_are_bounded(text: str, said: str) -> None:
    """Long, deep, or with more digits than Python takes; many keys are no fault."""
    if said:
        assert said in error(text)
    else:
        assert len(read(text).entries) == 900


def test_keys_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A person has no 16,384 properties, and a sample of them would take a gigabyte."""
    text = "{" + ",".join(f'"k{n}":"a@x.io"' for n in range(17_000)) + "}"
    assert "line 1: the first objects have 17,000 different keys" in error(text)
    monkeypatch.setattr(objects, "_SAMPLE_CELLS", 1)
    assert read('{"mail":"a@x.io"}\n{"n":1}').entries == ("a@x.io", "")


def test_values_that_are_long_make_small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """In JSON and in plain text."""
    monkeypatch.setattr(block, "BLOCK_TEXT", 1_000)
    for text in ('{"mail":"a@x.io","n":"' + "x" * 600 + '"}\n', "a" * 600 + "@x.io\n"):
        found = read(text * 9)
        assert len(found.entries) == 9
    monkeypatch.setattr(json_values, "_LONGEST", 100)
    assert "line 1: a value of more than 100 characters" in error('{"mail":"' + "x" * 600 + '"}')


# --- quadratic patterns -------------------------------------------------------------------


@pytest.mark.parametrize("text", ["x" * 3_000_000, "x@" * 1_500_000, "x.@y." * 500_000])
def test_the_name_of_a_column_is_quoted_in_linear_time(text: str) -> None:
    """A search that begins anew at each letter would take hours."""
    assert len(quoted(text)) <= 62


def test_odd_brackets_and_quotes_of_a_long_line_take_no_stack() -> None:
    """A match that may go back at each letter holds a hundred bytes for each."""
    for odd in ("<", '"', "<a", '"a"'):
        text = odd * (1_000_001 // len(odd))
        assert peak_of(lambda text=text: [*plaintext.split(text)]) < 20_000_000  # type: ignore[misc]


@pytest.mark.parametrize("end", [b"\n", b" "])
def test_an_old_byte_in_a_long_line_is_found_in_linear_time(end: bytes) -> None:
    """As much as is looked at; it took minutes."""
    assert "a guess" in error(b"a@x.io\n" + b"x" * 7_000_000 + end + b"\xe9\n")


def test_a_number_of_a_column_may_have_any_digits() -> None:
    """Python refuses to read a million of them."""
    assert "there is no column" in error("mail,n\na@x.io,1\n", "1" * 1_000_000)
    assert "there is no column" in error("mail,n\na@x.io,1\n", "0")
    assert "and more could all be" in error(
        ",".join(["mail"] * 50) + "\n" + ",".join(["a@x.io"] * 50)
    )


# --- guesses ------------------------------------------------------------------------------

POLISH = "name,mail\nŁukasz,l@x.io\nŻaneta,z@x.io\n".encode("cp1250")


def test_a_guess_is_refused_where_texts_take_columns() -> None:
    """It read £ for Ł, and would have been sent."""
    with pytest.raises(InvalidInput) as caught:
        read(POLISH, columns=["name"])
    message = str(caught.value)
    assert message.startswith("people.csv, line 2: not UTF-8; that it is ")
    assert "--encoding cp1252" in message
    assert read(POLISH).entries == ("l@x.io", "z@x.io")
    assert "(a guess)" in read(POLISH).describe()


def test_an_encoding_that_is_named_is_no_guess(tmp_path: Path) -> None:
    """Texts are as they were written."""
    (tmp_path / "p.csv").write_bytes(POLISH)
    with open_recipients(tmp_path / "p.csv", encoding="CP1250") as source:
        (part,) = source.blocks(["name"])
        assert part.values["name"] == ["Łukasz", "Żaneta"]
        assert "cp1250, 2 rows" in source.describe()
    with (
        pytest.raises(InvalidInput, match="line 2: a byte that is not utf-8"),
        open_recipients(tmp_path / "p.csv", encoding="utf8"),
    ):
        pass


@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le"])
def test_utf_8_and_marks_are_no_guess(codec: str) -> None:
    """No other text has them by chance."""
    found = read("name,mail\nŁukasz,l@x.io\n", encoding=codec, columns=["name"])
    assert found.values["name"] == ("Łukasz",)


def test_an_address_that_depends_on_a_guess_is_refused() -> None:
    """It may be somebody else's."""
    message = error("mail,n\na@x.io,1\nłukasz@x.io,2\n".encode("cp1250"))
    assert message.startswith("people.csv, line 3: not UTF-8")


@pytest.mark.parametrize(
    ("data", "encoding", "said"),
    [
        (b"a@x.io\n", "klingon", "'klingon' is no encoding"),
        (b"a@x.io\n", "base64", "is no encoding"),
        (b"a@x.io\n", "\x00", "is no encoding"),
        ("a@x.io\n".encode("utf-16"), "cp1252", "line 1: it begins with the mark of utf-16"),
        ("a@x.io\n".encode("utf-8-sig"), "utf-8", ""),
        ("a@x.io\n".encode("utf-16"), "utf-16-le", ""),
    ],
)
def test_an_encoding_must_be_one_and_fit(
    tmp_path: Path, data: bytes, encoding: str, said: str
) -> None:
    """A mark that says the same is taken with it."""
    path = tmp_path / "p.txt"
    path.write_bytes(data)
    if said:
        with pytest.raises(InvalidInput, match=said), open_recipients(path, encoding=encoding):
            pass
    else:
        with open_recipients(path, encoding=encoding) as source:
            assert [part.entries for part in source.blocks()] == [("a@x.io",)]


def test_a_workbook_has_no_encoding_to_name(tmp_path: Path) -> None:
    """It says so itself."""
    path = made(tmp_path / "p.xlsx")
    with (
        pytest.raises(InvalidInput, match="says itself how its text is written"),
        open_recipients(path, encoding="cp1252"),
    ):
        pass


# --- workbooks ----------------------------------------------------------------------------

NAMES = b'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
OFFICE = b"http://schemas.openxmlformats.org/officeDocument/2006/relationships"
KIND = b"application/vnd.openxmlformats-officedocument.spreadsheetml."
PACKAGE = b"http://schemas.openxmlformats.org/package/2006/"
CONTENT_TYPES = b"".join(
    [
        b'<Types xmlns="', PACKAGE, b'content-types">',
        *(b'<Override PartName="/xl/%s.xml" ContentType="%s%s+xml"/>' % (part, KIND, kind)
          for part, kind in ((b"workbook", b"sheet.main"), (b"worksheets/s", b"worksheet"),
                             (b"sharedStrings", b"sharedStrings"), (b"styles", b"styles"))),
        b"</Types>",
    ]
)  # fmt: skip
BOOK = (
    b'<workbook %s xmlns:r="%s"><sheets><sheet name="S" sheetId="1" r:id="r1"/></sheets></workbook>'
    % (NAMES, OFFICE)
)
RELATIONS = (
    b'<Relationships xmlns="%srelationships"><Relationship Id="r1" Type="%s/worksheet"'
    b' Target="worksheets/s.xml"/></Relationships>' % (PACKAGE, OFFICE)
)
PEOPLE = (
    b'<row r="1"><c r="A1" t="inlineStr"><is><t>Email</t></is></c></row>'
    b'<row r="2"><c r="A2" t="s"><v>0</v></c></row>'
)


def made(
    path: Path,
    *,
    sheet: Iterable[bytes] = (),
    texts: Iterable[bytes] = (),
    styles: Iterable[bytes] = (b"<xf/>",),
) -> Path:
    """A workbook of one person, whose parts go on with these."""
    parts = {
        "xl/worksheets/s.xml": [b"<worksheet %s><sheetData>" % NAMES, PEOPLE, *sheet,
                                b"</sheetData></worksheet>"],
        "xl/sharedStrings.xml": [b"<sst %s><si><t>a@x.io</t></si>" % NAMES, *texts, b"</sst>"],
        "xl/styles.xml": [b"<styleSheet %s><cellXfs>" % NAMES, *styles,
                          b"</cellXfs></styleSheet>"],
    }  # fmt: skip
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("[Content_Types].xml", CONTENT_TYPES)
        archive.writestr("xl/workbook.xml", BOOK)
        archive.writestr("xl/_rels/workbook.xml.rels", RELATIONS)
        for name, pieces in parts.items():
            with archive.open(name, "w") as part:
                part.writelines(pieces)
    return path


def cell(number: int, text: bytes = b"b@x.io") -> bytes:
    """A row of one cell."""
    return b'<row r="%d"><c t="inlineStr"><is><t>%s</t></is></c></row>' % (number, text)


def test_the_workbook_of_these_tests_is_one(tmp_path: Path) -> None:
    """So that it is refused for what is added."""
    path = made(
        tmp_path / "p.xlsx",
        sheet=[b'<row r="4"><c t="s"><v>1</v></c></row>'],
        texts=[b"<si><r><t>b@</t></r><rPh><t>not</t></rPh><r><t>x.io</t></r></si>"],
    )
    assert gather(path).entries == ("a@x.io", "b@x.io")
    assert gather(path).lines == (2, 4)


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ({"texts": [b"<si><t>", *[MEGA] * 100, b"</t></si>"]}, ": its texts or styles are too"),
        ({"texts": [b"<si>", *[b"<r/>" * 250_000] * 50, b"</si>"]}, ": its texts or styles are"),
        ({"styles": [b"<xf/>" * 200_000] * 20}, ": its texts or styles are too long"),
        ({"sheet": [b'<row><c t="inlineStr"><is><t>', *[MEGA] * 100, b"</t></is></c></row>"]},
         ", row 2: the row below it has more than 1,048,576 bytes"),
        ({"sheet": [b"<row>", *[b"<c/>" * 10_000] * 100, b"</row>"]}, ", row 2: the row below it"),
        ({"sheet": [b"<x/>" * 250_000] * 100}, ", row 2: the row below it has more"),
        ({"sheet": [b'<row r="3"><c r="XFE3"><v>1</v></c></row>']}, ", row 3: more than 16,384"),
        ({"sheet": [cell(2)]}, ", row 2: it comes below row 2"),
        ({"sheet": [cell(5), cell(3)]}, ", row 3: it comes below row 5"),
        ({"sheet": [cell(2_000_000)]}, ", row 2000000: a worksheet has 1,048,576 rows at most"),
    ],
)  # fmt: skip
def test_a_workbook_inflates_to_no_more_than_a_workbook_is(
    tmp_path: Path, parts: dict[str, list[bytes]], said: str
) -> None:
    """And nobody is passed over: a row that stands twice, or too far below, is an error."""
    path = made(tmp_path / "p.xlsx", **parts)
    assert os.path.getsize(path) < 3_000_000
    found: list[str] = []
    assert peak_of(lambda: found.append(refusal(path))) < 250_000_000
    assert found[0].startswith(said)


def test_shared_texts_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each takes memory, however short."""
    monkeypatch.setattr(workbook, "_MOST_TEXTS", 1_000)
    assert "texts or styles" in refusal(made(tmp_path / "p.xlsx", texts=[b"<si/>" * 1_000]))


def test_few_rows_of_many_cells_are_a_sample(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cell in the last column makes no million empty ones of each row."""
    monkeypatch.setattr(workbook, "_SAMPLE_CELLS", 20_000)
    wide = [b'<row r="%d"><c r="XFD%d"><v>1</v></c></row>' % (n, n) for n in range(3, 3_000)]
    path = made(tmp_path / "p.xlsx", sheet=wide)
    found: list[Any] = []
    assert peak_of(lambda: found.append(gather(path))) < 50_000_000
    assert len(found[0].entries) == 2_998


@pytest.mark.parametrize("where", ["sheet", "texts"])
def test_a_workbook_can_be_left_in_its_middle(tmp_path: Path, where: str) -> None:
    """Whether to go on is asked while it is unpacked, not only between blocks."""
    extra = [cell(n) for n in range(3, 50_000)] if where == "sheet" else [b"<si/>" * 500_000]
    path = made(tmp_path / "p.xlsx", **{where: extra})
    asked: list[int] = []
    with open_recipients(path, go_on=lambda: asked.append(1)) as source:
        for _ in source.blocks():
            pass
    assert len(asked) > 30


# --- Parquet ------------------------------------------------------------------------------


def parquet_file(path: Path, **columns: Any) -> Path:
    """Without Arrow's own schema, which would have them read as dictionaries."""
    pq.write_table(pa.table(columns), path, store_schema=False, compression="zstd")
    return path


def repeated(text: str, count: int) -> Any:
    """A column of the same text, stored once."""
    return pa.DictionaryArray.from_arrays(pa.array([0] * count, pa.int32()), pa.array([text]))


def sizes_of(path: Path, monkeypatch: pytest.MonkeyPatch, columns: list[str]) -> set[int]:
    """How many rows were decoded at once, after the sample."""
    asked: list[int] = []
    iterate = pq.ParquetFile.iter_batches

    def look(self: Any, size: int, **how: Any) -> Any:
        asked.append(size)
        return iterate(self, size, **how)

    monkeypatch.setattr(pq.ParquetFile, "iter_batches", look)
    assert gather(path, columns=columns).entries
    return {*asked[1:]}


def test_a_word_of_the_dictionary_a_million_times(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As few rows at once as may hold it."""
    path = parquet_file(tmp_path / "p", mail=["a@x.io"] * 1_000, n=repeated("x" * 1_000_000, 1_000))
    assert os.path.getsize(path) < 100_000
    assert sizes_of(path, monkeypatch, ["n"]) == {67}


def test_values_that_share_their_beginnings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each may be as long as all that is stored."""
    texts = ["x" * 1_000_000 + str(n) for n in range(100)]
    pq.write_table(pa.table({"mail": ["a@x.io"] * 100, "n": texts}), tmp_path / "p",
                   compression="zstd", use_dictionary=False,
                   column_encoding={"mail": "PLAIN", "n": "DELTA_BYTE_ARRAY"})  # fmt: skip
    assert os.path.getsize(tmp_path / "p") < 10_000
    (size,) = sizes_of(tmp_path / "p", monkeypatch, ["n"])
    assert size < 70


def test_common_files_are_read_in_whole_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a dictionary is short, the bound is no bound."""
    path = parquet_file(tmp_path / "p", mail=[f"a{n % 999}@x.io" for n in range(5_000)])
    assert sizes_of(path, monkeypatch, []) == {block.BLOCK_ROWS}


def test_a_group_of_rows_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says where, and what to do."""
    monkeypatch.setattr(parquet, "_MOST_GROUP", 100)
    path = parquet_file(tmp_path / "p", mail=[f"a{n}@x.io" for n in range(50)])
    assert ', row 1: column "mail" has ' in refusal(path)
    monkeypatch.setattr(parquet, "_MOST_COLUMNS", 0)
    assert "1 columns; export those that are needed" in refusal(path)


def test_a_page_that_is_none_is_not_trusted() -> None:
    """Its column may hold anything."""
    assert parquet._number(iter(b"")) is None
    assert parquet._number(iter(b"\x15\x04")) == 2
    assert parquet._number(iter(b"\x15\x80\x01")) == 64


# --- edges that only odd files have --------------------------------------------------------


def test_no_more_old_bytes_are_looked_at_than_a_guess_needs() -> None:
    """A long text of them is no slower than a short one."""
    assert len(decoding._around_non_ascii(b"caf\xe9 " * 1_000_000)) == decoding._GUESS


def test_a_file_that_became_shorter_is_noticed_in_a_small_read(tmp_path: Path) -> None:
    """Its end is where it was when it was opened."""
    path = tmp_path / "p.csv"
    path.write_bytes(b"a@x.io\n")
    with files.SteadyFile(str(path), "p.csv") as file:
        path.write_bytes(b"")
        with pytest.raises(InvalidInput, match="it was changed while it was read"):
            file.read(3)


@pytest.mark.parametrize("size", [-1, None, 3 << 20])
def test_a_large_read_is_all_that_there_was(tmp_path: Path, size: int | None) -> None:
    """However much of it is asked for, it is read in parts."""
    path = tmp_path / "p.csv"
    path.write_bytes(b"a@x.io\n" * 300_000)
    with files.SteadyFile(str(path), "p.csv") as file:
        assert file.read(size) == path.read_bytes()


def test_a_number_that_breaks_off_is_what_came_of_it() -> None:
    """The head of a Parquet page may end in the middle of a field."""
    assert parquet._number(iter([parquet._NUMBER, 0x84])) == 2
    assert parquet._number(iter([])) is None


def test_a_part_of_a_sheet_without_rows_makes_no_block() -> None:
    """Nothing is given out for it."""
    assert [*workbook._parts("p.xlsx", iter([[], []]))] == []


class _Once:
    """An async iterator that is no generator, so it has nothing to close."""

    def __init__(self, *rows: str) -> None:
        self.rows = list(rows)

    def __aiter__(self) -> _Once:
        return self

    async def __anext__(self) -> str:
        if not self.rows:
            raise StopAsyncIteration
        return self.rows.pop(0)


async def test_an_async_iterator_without_an_end_to_close_is_read() -> None:
    """Only a generator is closed."""
    blocks = [block async for block in iterables.async_blocks_of(_Once("a@x.io", "b@x.io"))]
    assert [entry for block in blocks for entry in block.entries] == ["a@x.io", "b@x.io"]
