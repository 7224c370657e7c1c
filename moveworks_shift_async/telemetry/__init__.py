"""Attempts as values, for whoever watches.

::

    watchers   tells everybody who watches, and keeps what they raise away from the call
    log        our own logging: a line for each attempt, and one for each episode
"""
