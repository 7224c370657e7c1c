"""A job in one SQLite file.

::

    job_store      the file as a store; plan_store, run_store, account_store are its ports
    thread         the journal's own thread, and one commit for many steps
    journal        what was planned and what became of it, chunk by chunk
    reads          what it holds, as values
    identity       is it the file that the job was last run from?
    database       its file
    statements     those of journal.sql, by name
    beside         what lies beside the file, and what of it SQLite may undo
    lock           one process at a time works on a journal, and knows its file again
    memory         what this user's machine remembers of a file
"""
