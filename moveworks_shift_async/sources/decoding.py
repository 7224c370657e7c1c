"""Bytes -> text: byte order marks, UTF-8, UTF-16 without a mark, then a guess from the content."""

from __future__ import annotations

import codecs
import re

from .document import refuse

#: The first bytes of files that people pass by mistake, and what to tell them.
_NOT_TEXT = (
    (b"PK\x03\x04", "an Excel workbook (xlsx) or a zip archive"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Excel workbook (xls)"),
    (b"%PDF-", "a PDF"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"PAR1\x15", "a Parquet file"),
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
_CONTROL = re.compile("[\x00-\x08\x0e-\x19\x1b-\x1f]")
_EXPORT = "export it as CSV (UTF-8) and pass that file"


def decode(data: bytes, name: str) -> tuple[str, str]:
    """Return the text without its byte order mark, and the encoding as a Python codec name."""
    _refuse_known_binary(data, name)
    encoding = _encoding_of(data, name)
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        broken = f"a byte that is not {encoding}; save the file as UTF-8"
        raise refuse(name, _line_of(error.object, error.start), broken) from None
    _refuse_control(text, name)
    return text, encoding


def _refuse_known_binary(data: bytes, name: str) -> None:
    for magic, kind in _NOT_TEXT:
        if data.startswith(magic):
            raise refuse(name, None, f"this is {kind}, not a text file; {_EXPORT}")


def _encoding_of(data: bytes, name: str) -> str:
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return encoding
    wide = _wide(data[:_SAMPLE])
    if wide is not None:
        return wide
    try:
        data.decode()
    except UnicodeDecodeError as error:
        return _guess(data, name, _line_of(data, error.start))
    return "utf-8"


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


def _guess(data: bytes, name: str, line: int) -> str:
    """Let charset-normalizer judge the lines that are not ASCII; only they tell anything."""
    if b"\x00" in data:
        raise refuse(name, data[: data.index(0)].count(b"\n") + 1, _binary("a NUL byte"))
    try:
        from charset_normalizer import from_bytes  # noqa: PLC0415  it is in the extra `cli`
    except ImportError:
        what = "not UTF-8; save it as UTF-8, or install moveworks-shift-async[cli]"
        raise refuse(name, line, f"{what} to read other encodings") from None
    telling = b"\n".join(re.findall(rb"[^\r\n]*[\x80-\xff][^\r\n]*", data[: 64 * _GUESS]))
    sample = telling[:_GUESS] or data[-_GUESS:]
    match = from_bytes(sample, cp_isolation=_LEGACY, threshold=0.5).best()
    candidates = [match.encoding, *match.could_be_from_charset] if match else []
    for encoding in ["cp1252"] * ("cp1252" in candidates) + [*candidates, "cp1252"]:
        if _decodes(data, encoding):
            return encoding
    raise refuse(name, line, _binary("neither UTF-8 nor another known encoding"))


def _decodes(data: bytes, encoding: str) -> bool:
    try:
        data.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def _refuse_control(text: str, name: str) -> None:
    """A NUL is never text; a few other control characters are dirt, many are a binary file."""
    place = text.find("\x00")
    if place < 0 and len(_CONTROL.findall(text, 0, _SAMPLE)) > 0.01 * min(len(text), _SAMPLE):
        place = next(_CONTROL.finditer(text)).start()
    if place >= 0:
        line = text.count("\n", 0, place) + 1
        raise refuse(name, line, _binary("control characters that no text file has"))


def _binary(what: str) -> str:
    return f"{what}; this looks like a binary file: {_EXPORT}"


def _line_of(data: bytes, offset: int) -> int:
    return data.count(b"\n", 0, offset) + 1
