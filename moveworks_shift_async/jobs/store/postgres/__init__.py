"""Jobs in a PostgreSQL database, any number of runs at work on each.

::

    store          a job by its URL as a store; plan_store, run_store, account_store are its ports
    lease          which runs live: one lease a run, and what dead ones leave behind
    writer         the one writer of a process
    batch          one transaction for the steps of many requests
    parts          chunks that are divided: by a refusal, or for the first of their people
    rows           rows <-> values
    statements     those of jobs.sql, by name
    listing        the jobs of a database: listed, and forgotten but for their numbers
    schema         the tables: made, brought up to date, looked for

Theory of operation. Time is the database's. A run holds one lease, which every transaction of it
renews first; where that finds the run given up, the transaction sends nothing. Whoever finds a
lease that ran out gives that run up, once: what it had `sending` is unknown, what it had claimed is
nobody's. Only its own late answer may make that better. Locks are taken in one order: run, chunk,
job.

A server that took over may lack the last commits. A run knows the server on which it began; on
another one it is given up, and what it may have sent since it was last heard of is unknown.

A commit whose answer was lost is done again, so every step may be done twice: it knows its own
work by the run and the time that it carries.
"""
