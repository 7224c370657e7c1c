"""Durable bulk sends: planned into a journal, run from it, resumed from it, accounted from it.

::

    job         `Job`: all of it by the name of its file
    planning/   recipients and texts -> a journal
    journal     what was planned and what became of it, chunk by chunk
    database    its file, one SQLite database a job; the statements stand in journal.sql
    records     what the journal holds, as values
    lock        one process at a time works on a journal, and knows its file again
    scribe      the journal's own thread, and one commit for many steps
    work        one process's run, from taking the journal to the account
    runner      from the journal through a client, and every outcome back
    cells       cells of a CSV file that no spreadsheet takes for a formula
    threads     a step in a thread that no cancellation leaves alone
    newfile     files that are whole or not there
    paths       where a journal is
    isolate     which addresses a refused list is refused for
    progress    how far a job is, as values
    reporting/  a journal -> what became of everybody
"""
