"""A planned job -> requests -> outcomes in the journal.

::

    job_run     one process's run, from taking the journal to the account
    runner      from the journal through a client, and every outcome back
    marker      `sending` is on the disk before the first byte leaves
    settlement  what the end of a request makes of its chunk
    bisect      which addresses a refused list is refused for
    progress    how far a job is, as values
"""
