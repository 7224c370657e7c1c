"""One budget for all processes that name one place.

::

    gate        `SharedGate`: the gate that processes share
    step        one step of it, from taking the state to putting it back
    join        who may join, and who lives no more
    state       the window, and who holds which slot; pure
    store       what is asked of the place where the state is kept
    file_gate   `FileGate`: the place is a file of this machine
    file_store  one text in a file that processes change in turn
    processes   which processes of this machine live
"""
