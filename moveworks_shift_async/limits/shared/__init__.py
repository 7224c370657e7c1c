"""One budget for all processes that name one place.

::

    state          the window, and who holds which slot; pure
    join           who may join, and who lives no more
    store          what is asked of the place where the state is kept

    gate           `SharedGate`: the gate that processes of a machine share
    step           one step of it, from taking the state to putting it back
    file_gate      `FileGate`: the place is a file of this machine
    file_store     one text in a file that processes change in turn
    processes      which processes of this machine live

    postgres_gate  `PostgresGate`: the place is a row in a database
    pump           one process's thread, which fetches slots from there
    granted        the slots that it has, until they have ended
    turn           what one transaction brings and takes; pure
    row            the row, and its statements in gate.sql
"""
