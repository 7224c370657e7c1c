"""A job in one SQLite database.

::

    journal     what was planned and what became of it, chunk by chunk
    database    its file; the statements stand in journal.sql
    lock        one process at a time works on a journal, and knows its file again
    memory      a database's own copy in memory
    thread      the journal's own thread, and one commit for many steps
"""
