"""Where jobs are kept. A job's name says where.

::

    ports       what a job asks of any store, as protocols and values
    names       a name -> its store
    first       whom a run for the first so many people is for
    standing    how each chunk stands, whoever asks
    sqlite/     in one file
"""
