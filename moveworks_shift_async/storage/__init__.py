"""Files, opened and replaced safely.

::

    atomic      files that are whole or not there
"""
