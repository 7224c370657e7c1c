"""May I send now? The arithmetic of a rate limit, and the gates around it.

::

    gate             what a client asks of a gate
    choice           which gate a client has
    process          the gate of this process
    shared/          the gate of many processes: one budget, kept in a file
    queue            who waits for a slot, and a timer for them
    priority         who is served next
    adaptive_window  the slots of one budget and its rate, together
    window           the slots
    adaptive         the rate after a 429
    circuit          the states of a circuit breaker
"""
