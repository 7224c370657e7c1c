"""A planned job -> requests -> outcomes in the journal.

::

    job_run     one process's run, from taking the journal to the account
    runner      from the journal through a client, and every outcome back
    claims      the chunks that it has claimed and not begun
    holds       why it starts nothing now
    hours       the time by which a job keeps its schedule
    telling     what holds a run, for whoever looks at the job
    health      whether a server that was away is there again
    marker      `sending` is on the disk before the first byte leaves
    ends        the ends of requests, written down
    settlement  what the end of a request makes of its chunk
    stop_if     limits at which a run stops by itself
    bisect      which addresses a refused list is refused for
    counting    what all runs of the job have done, counted now and then
    progress    how far a job is, as values
"""
