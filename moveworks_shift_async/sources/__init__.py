"""Recipients from files, databases and programs -> blocks of rows, without holding them all.

::

    detect       what a source is; the way in
    source       an open source: what it was taken for, and its blocks
    block        the values that come out
    iterables    the same blocks from a program's own iterables

    tables       CSV, TSV: delimiter and header       csv_rows      their rows and open quotes
    objects      JSON objects and bare addresses      json_values   JSON values with their lines
    plaintext    one address a line, or several       parquet       Parquet files
    workbook     Excel workbooks                      bounded_zip   what their parts may become
    sql          SQL queries                          typed_cells   values of any type -> text
    columns      which column holds the addresses     decoding      which encoding; is it text
    files        paths and standard input -> files    document      a text file
    refusals     the form of the errors               address_text  what an address looks like

Nothing is guessed away: what cannot be read without losing a person is an `InvalidInput`
that names file and line. Error texts hold line numbers and column names, no addresses and no
cells, and no password of a database.
"""

from .block import Block
from .detect import open_recipients
from .iterables import async_blocks_of, blocks_of
from .source import RecipientSource

__all__ = ["Block", "RecipientSource", "async_blocks_of", "blocks_of", "open_recipients"]
