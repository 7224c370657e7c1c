"""Files, opened and replaced safely.

::

    atomic      files that are whole or not there
    system      what the system says of a file, as our errors
    sqlite      SQLite's files: made, opened, marked; the only importer of sqlite3
"""
