"""A file of recipients -> its entries with line numbers. Pure: bytes in, values out.

::

    reading     which format it is; the way in
    tables      CSV, TSV: delimiter, quotes, header
    records     JSON Lines and JSON arrays
    plaintext   one address a line, or several
    columns     which column holds the addresses
    decoding    bytes -> text
    document    the values that pass between them, and the form of the errors

Nothing is guessed away: what cannot be read without losing a person is an `InvalidInput`
that names file and line. Error texts hold line numbers and column names, no addresses.
"""

from .document import RecipientFile
from .reading import read_recipients

__all__ = ["RecipientFile", "read_recipients"]
