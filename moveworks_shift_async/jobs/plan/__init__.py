"""Recipients and texts -> a journal: read, checked, made unique, grouped and cut; nothing is sent.

::

    plan        the way in, and what the job will cost
    options     what the caller wants, checked
    given       whom the caller names, copied at the call
    opened      that, opened: a file, a query, rows
    other_job   or people of another job
    template    a message and a context with the names of columns in them
    planner     the steps, in a thread
    rejects     the entries that are no address
    spool       what does not fit into memory: nameless files
    unique      who came before, exactly
    excluded    who is not to be told, and by which list
    texts       the different texts, numbered
    odd_values  values that nobody would write to a person
    groups      people and texts -> chunks
    writer      chunks, and what is for nobody -> the journal
"""
