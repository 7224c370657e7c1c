"""The command line: commands -> calls -> exit codes. Only files in here import click or rich.

::

    main        the commands, and what every failure ends in
    auth send shift sandbox demo      one command each
    sending     a bulk send with progress and Ctrl-C; `send` and `demo` share it
    progress    the bar on a terminal, plain lines without one
    outcome     the table, the JSON object, the exit code
    recipients  the file: read, cleaned, shown before anything goes out
    failures    what to say of an error, and its exit code
    options     options that several commands have
    files       the other files: message, context, attachments
    terminal    what reaches the terminal
"""
