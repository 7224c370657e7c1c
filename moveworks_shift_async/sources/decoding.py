"""Bytes -> text: byte order marks, UTF-8, UTF-16 without a mark, then a guess from the content.

The whole file is gone through before the first row is read, at about a gigabyte a second: one
old byte at line five million decides how the first line is to be read.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from io import FileIO

from .document import refuse

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
#: UTF-32 LE stands before UTF-16 LE, whose mark is the beginning of its own.
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
#: Bytes of the lines that are not ASCII, for the guess: enough for it, and quick.
_GUESS = 16_384
#: Bytes read and decoded at once.
_CHUNK = 1 << 20
_CONTROL = re.compile("[\x00-\x08\x0e-\x19\x1b-\x1f]")
#: What to do with a file that is no text.
EXPORT = "export it as CSV (UTF-8) and pass that file"


def encoding_of(file: FileIO, name: str) -> tuple[str, str]:
    """Return the encoding as a Python codec name, and the first character that is no space.

    After it the whole file is known to be text in that encoding. "" for a file of spaces.
    """
    file.seek(0)
    encoding = _marked(file.read(_SAMPLE), name) or "utf-8"
    first, offset = _scan(file, name, encoding)
    if offset is None:
        return encoding, first
    line = _line_of(file, offset)
    if encoding != "utf-8":
        broken = f"a byte that is not {encoding}; save the file as UTF-8"
        raise refuse(name, line, broken)
    for guess in _guesses(file, name, line):
        first, offset = _scan(file, name, guess)
        if offset is None:
            return guess, first
    raise refuse(name, line, _binary("neither UTF-8 nor another known encoding"))


def _marked(head: bytes, name: str) -> str | None:
    """Tell the encoding where the first bytes show it, and refuse what shows to be no text."""
    for magic, kind in _NOT_TEXT:
        if head.startswith(magic):
            raise refuse(name, None, f"this is {kind}, not a text file; {EXPORT}")
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            return encoding
    return _wide(head)


def _chunks(file: FileIO) -> Iterator[bytes]:
    file.seek(0)
    while chunk := file.read(_CHUNK):
        yield chunk


def _scan(file: FileIO, name: str, encoding: str) -> tuple[str, int | None]:
    """Decode it all and keep nothing: the first character that is no space, and the offset of
    the first byte that is wrong.

    A NUL is never text; a few other control characters are dirt, many are a binary file.
    """
    decoder = codecs.getincrementaldecoder(encoding)()
    first, end = "", 0
    try:
        for chunk in _chunks(file):
            end += len(chunk)
            text = decoder.decode(chunk)
            place = _control(text, beginning=end == len(chunk))
            if place >= 0:
                line = _line_of(file, end - len(chunk)) + text.count("\n", 0, place)
                raise refuse(name, line, _binary("control characters that no text file has"))
            first = first or text.lstrip()[:1]
        decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        # The decoder's own bytes end where the chunk does, and may begin in the one before.
        return first, end - len(error.object) + error.start
    return first, None


def _control(text: str, *, beginning: bool) -> int:
    """Return the place of a character that no text has, or -1."""
    place = text.find("\x00")
    sample = text[:_SAMPLE] if beginning and place < 0 else ""
    if len(_CONTROL.findall(sample)) > 0.01 * len(sample):
        place = next(_CONTROL.finditer(sample)).start()
    return place


def _wide(sample: bytes) -> str | None:
    """Find UTF-16 without a mark: ASCII in it has a NUL in every other byte, on one side only."""
    high, low = sample[0::2].count(0), sample[1::2].count(0)
    # Three in ten: addresses are ASCII, the names beside them may not be.
    enough = 0.3 * len(sample) / 2
    if low > enough and not high:
        return "utf-16-le"
    if high > enough and not low:
        return "utf-16-be"
    return None


def _guesses(file: FileIO, name: str, line: int) -> Iterator[str]:
    """Let charset-normalizer judge the lines that are not ASCII; only they tell anything."""
    before = 0
    for chunk in _chunks(file):
        if (at := chunk.find(0)) >= 0:
            raise refuse(name, _line_of(file, before + at), _binary("a NUL byte"))
        before += len(chunk)
    try:
        from charset_normalizer import from_bytes  # noqa: PLC0415  it is in the extra `cli`
    except ImportError:
        what = "not UTF-8; save it as UTF-8, or install moveworks-shift-async[cli]"
        raise refuse(name, line, f"{what} to read other encodings") from None
    sample = _telling(file, before)
    match = from_bytes(sample, cp_isolation=_LEGACY, threshold=0.5).best()
    candidates = [match.encoding, *match.could_be_from_charset] if match else []
    yield from ["cp1252"] * ("cp1252" in candidates)
    yield from candidates
    yield "cp1252"


def _telling(file: FileIO, size: int) -> bytes:
    """Return what the guess is made from: the first lines that are not ASCII, or the end."""
    file.seek(0)
    lines = re.findall(rb"[^\r\n]*[\x80-\xff][^\r\n]*", file.read(64 * _GUESS))
    file.seek(max(size - _GUESS, 0))
    return b"\n".join(lines)[:_GUESS] or file.read(_GUESS)


def _binary(what: str) -> str:
    return f"{what}; this looks like a binary file: {EXPORT}"


def _line_of(file: FileIO, offset: int) -> int:
    line, left = 1, offset
    for chunk in _chunks(file):
        line += chunk.count(b"\n", 0, max(left, 0))
        left -= len(chunk)
    return line
