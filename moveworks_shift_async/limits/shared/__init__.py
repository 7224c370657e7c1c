"""One budget for all processes that name one file.

::

    gate        `FileGate`: the gate that processes share
    step        one step of it, from opening the file to putting the state back
    state       the window, and who holds which slot; pure
    join        who may come in, and who lives no more
    processes   which processes live
    file_store  one text in a file that processes change in turn
"""
