"""A job as a page that lives: the report, kept as it stands, with buttons.

::

    look      the job, looked at again and again, and its page as of the last look
    server    the page over HTTP, on this machine alone
    live.js   what keeps the page in the browser as the server has it
"""
