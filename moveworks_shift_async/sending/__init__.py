"""From many recipients to requests and outcomes, without a journal.

::

    batcher     a list of recipients -> cleaned, de-duplicated chunks of at most 500
    entries     any iterable, sync or async, as entries
    outcomes    what became of whom
    stream      any number of recipients -> outcomes as they end, and their report
    coalesce    single sends of many callers share requests
    groups      who waits for which of these requests
    breaker     whom a failure concerns: go on, wait or stop
"""
