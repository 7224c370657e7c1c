"""Files, opened and replaced safely.

::

    atomic      files that are whole or not there
    sqlite      SQLite's files: made, opened, marked; the only importer of sqlite3
"""
