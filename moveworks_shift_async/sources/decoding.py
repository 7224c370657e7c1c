"""Bytes -> text: byte order marks, UTF-8, UTF-16 without a mark, then a guess from the content.

The whole file is gone through before the first row is read, at about a gigabyte a second: one
old byte at line five million decides how the first line is to be read.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator

from attrs import evolve, frozen

from ..errors import InvalidInput
from ..text import install
from .files import SteadyFile
from .refusals import refuse

#: Characters that no line is longer than, where lines are read whole: 300,000 addresses.
LONGEST_LINE = 1 << 23
#: The first bytes of files that people pass by mistake, and what to tell them.
_NOT_TEXT = (
    (b"PK\x03\x04", "an Excel workbook (xlsx) or a zip archive"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Excel workbook (xls)"),
    (b"%PDF-", "a PDF"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"SQLite format 3\x00", "an SQLite database"),
    (b"BZh91AY&SY", "a bzip2 archive"),
    (b"\xfd7zXZ\x00", "an xz archive"),
    (b"\x28\xb5\x2f\xfd", "a Zstandard archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"\x89PNG\r\n", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
)
#: UTF-32 LE comes before UTF-16 LE: its mark begins with that of UTF-16 LE.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
#: What spreadsheets and directories export. All keep ASCII as it is, so that no guess can hurt
#: an ASCII address; cp1252 is first because it is what Excel writes in most of the west.
_LEGACY = ["cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257",
           "koi8_r", "mac_roman", "cp932", "euc_jp", "gb18030", "big5", "cp949"]  # fmt: skip
#: Bytes looked at for UTF-16 and for control characters.
_SAMPLE = 65_536
#: Bytes that the encoding is guessed from: those that are not ASCII, and what is around them.
_GUESS = 16_384
#: How many of them on each side: as long as a name or an address.
_BESIDE = 60
#: Bytes read and decoded at once.
_CHUNK = 1 << 20
_CONTROL = re.compile("[\x00-\x08\x0e-\x19\x1b-\x1f]")
#: What to do with a file that is no text.
EXPORT = "export it as CSV (UTF-8) and pass that file"


@frozen(kw_only=True)
class Decoded:
    """How the bytes of a file are read; the whole file was gone through, and is text in it."""

    #: A Python codec name.
    encoding: str
    #: The first character that is no space; "" for a file of spaces.
    first: str
    #: The first line that is not UTF-8, where the encoding is a guess from the content.
    guessed_at: int | None = None
    #: The first line of more than `LONGEST_LINE` characters.
    long_line: int | None = None


def encoding_of(file: SteadyFile, wanted: str | None = None) -> Decoded:
    """Tell how to read a file; `wanted` is the encoding that the caller names.

    A byte order mark, UTF-8 and the zeros of UTF-16 are no guess: no other text has them by chance.
    """
    file.seek(0)
    encoding = _shown_by_head(file.read(_SAMPLE), file.title, wanted) or wanted or "utf-8"
    found = _scan(file, encoding)
    if isinstance(found, Decoded):
        return found
    line = _line_of(file, found)
    if encoding != "utf-8" or wanted is not None:
        broken = f"a byte that is not {encoding}; save the file as UTF-8"
        raise refuse(file.title, line, broken)
    for guess in _guesses(file, line, found):
        if isinstance(guessed := _scan(file, guess), Decoded):
            return evolve(guessed, guessed_at=line)
    raise refuse(file.title, line, _binary("neither UTF-8 nor another known encoding"))


def known_encoding(name: str) -> str:
    """Return Python's name of an encoding; `InvalidInput` for what is none."""
    try:
        "".encode(name)  # raises for codecs that are not of text, too
        return codecs.lookup(name).name
    except (LookupError, ValueError):
        what = "is no encoding; give one like utf-8, cp1252 or cp1250"
        raise InvalidInput(f"{name[:40]!r} {what}") from None


def _shown_by_head(head: bytes, name: str, wanted: str | None) -> str | None:
    """Tell the encoding where the first bytes show it, and refuse what shows to be no text."""
    for magic, kind in _NOT_TEXT:
        if head.startswith(magic):
            raise refuse(name, None, f"this is {kind}, not a text file; {EXPORT}")
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            if wanted is not None and not wanted.startswith(encoding.removesuffix("-sig")):
                what = f"it begins with the mark of {encoding}, and is no {wanted}"
                raise refuse(name, 1, f"{what}; leave out --encoding")
            return encoding
    return None if wanted else _utf16_without_mark(head)


def _chunks(file: SteadyFile) -> Iterator[bytes]:
    file.seek(0)
    while chunk := file.read(_CHUNK):
        yield chunk


def _scan(file: SteadyFile, encoding: str) -> Decoded | int:
    """Decode it all and keep nothing; return what was found, or the offset of a byte that is wrong.

    A NUL is never text; a few other control characters are dirt, many are a binary file.
    """
    decoder = codecs.getincrementaldecoder(encoding)()
    first, end, run, long = "", 0, 0, None  # `long`: the offset after which a line is too long
    try:
        for chunk in _chunks(file):
            end += len(chunk)
            text = decoder.decode(chunk)
            place = _control(text, beginning=end == len(chunk))
            if place >= 0:
                line = _line_of(file, end - len(chunk)) + text.count("\n", 0, place)
                raise refuse(file.title, line, _binary("control characters that no text file has"))
            first = first or text.lstrip()[:1]
            above = text.rfind("\n")
            above = text.rfind("\r") if above < 0 else above
            # A line that begins and ends in one chunk is never too long.
            run = run + len(text) if above < 0 else len(text) - above - 1
            long = end - len(chunk) if long is None and run > LONGEST_LINE else long
        decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        # The decoder's own bytes end where the chunk does, and may begin in the one before.
        return end - len(error.object) + error.start
    long_line = None if long is None else _line_of(file, long)
    return Decoded(encoding=encoding, first=first, long_line=long_line)


def _control(text: str, *, beginning: bool) -> int:
    """Return the place of a character that no text has, or -1."""
    place = text.find("\x00")
    sample = text[:_SAMPLE] if beginning and place < 0 else ""
    if len(_CONTROL.findall(sample)) > 0.01 * len(sample):
        place = next(_CONTROL.finditer(sample)).start()
    return place


def _utf16_without_mark(sample: bytes) -> str | None:
    """Find UTF-16 without a mark: ASCII in it has a NUL in every other byte, on one side only."""
    high, low = sample[0::2].count(0), sample[1::2].count(0)
    # Three in ten: addresses are ASCII, the names beside them may not be.
    enough = 0.3 * len(sample) / 2
    if low > enough and not high:
        return "utf-16-le"
    if high > enough and not low:
        return "utf-16-be"
    return None


def _guesses(file: SteadyFile, line: int, wrong: int) -> Iterator[str]:
    """Let charset-normalizer judge what is not ASCII, from the first `wrong` byte on."""
    before = 0
    for chunk in _chunks(file):
        if (at := chunk.find(0)) >= 0:
            raise refuse(file.title, _line_of(file, before + at), _binary("a NUL byte"))
        before += len(chunk)
    try:
        from charset_normalizer import from_bytes  # noqa: PLC0415  it is in the extra `cli`
    except ImportError:
        what = "not UTF-8; save it as UTF-8, name its encoding (--encoding)"
        how = f"{what}, or have it guessed, with: {install('charset-normalizer')}"
        raise refuse(file.title, line, how) from None
    file.seek(max(wrong - _BESIDE, 0))
    sample = _around_non_ascii(file.read(64 * _GUESS))
    match = from_bytes(sample, cp_isolation=_LEGACY, threshold=0.5).best()
    candidates = [match.encoding, *match.could_be_from_charset] if match else []
    yield from ["cp1252"] * ("cp1252" in candidates)
    yield from candidates
    yield "cp1252"


def _around_non_ascii(data: bytes) -> bytes:
    """Return the words around the bytes that are not ASCII; only they tell anything."""
    parts, size, end = [], 0, 0
    for found in re.finditer(rb"[\x80-\xff]+", data):
        parts.append(data[max(end, found.start() - _BESIDE) : found.end() + _BESIDE])
        end = found.end() + _BESIDE
        size += len(parts[-1])
        if size > _GUESS:
            break
    return b"".join(parts)[:_GUESS]


def _binary(what: str) -> str:
    return f"{what}; this looks like a binary file: {EXPORT}"


def _line_of(file: SteadyFile, offset: int) -> int:
    line, left = 1, offset
    for chunk in _chunks(file):
        line += chunk.count(b"\n", 0, max(left, 0))
        left -= len(chunk)
    return line
