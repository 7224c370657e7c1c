"""Files, opened and replaced safely.

::

    atomic              files that are whole or not there
    system              what the system says of a file, as our errors
    sqlite              SQLite's files: made, opened, marked; the only importer of sqlite3
    postgres            connections to PostgreSQL, and one that comes back by itself
    postgres_errors     what the server and its driver say, as our errors; it loads psycopg
    database_url        what a URL names, and what of it may be shown
    statements          SQL in files of its own, each statement under its name
"""
