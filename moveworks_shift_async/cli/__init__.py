"""The command line: commands -> calls -> exit codes. Only files in here import click or rich.

::

    main             the commands, and what every failure ends in
    auth send plan shift sandbox demo fleet  one command each
    guide            the pages that README points to
    doctor           why does a tenant not work? settings, network, credential, gate, database
    run              run and resume: a job is sent
    job_list         the jobs of a database
    watch            a job as a page that lives
    jobs             status, pause, stop, report: a job is looked at, or told to wait
    schedule_options --window, --at and --not-after, and what is said of them before a run
    message_options  the options that say what is sent and to whom; `send` and `plan` share them
    confirmation     what is shown and asked before anything goes out
    preview          what people will get: findings, and a page; of `plan` as well
    temporary        the journal of a send without one
    run_limits       --first and --stop-if: what is said before a run and after it
    foreground       a run of a job with progress and Ctrl-C; its exit code
    preflight        is the server there, and does it take the credential?
    signals          Ctrl-C, SIGTERM and SIGHUP, from the making of the event loop on
    pages            a page of the guide as a terminal shows it
    resolver         names of hosts, looked up so that no command waits for them at its end
    views            where progress is shown: the bar on a terminal, plain lines without one
    send_account     the end of a send without a journal: the table and the JSON object
    line_numbers     where the people of a failed chunk stand in their file
    failures         what to say of an error, and its exit code
    shared_options   options that several commands have
    gate_file        the file in which all commands share the rate limit
    input_files      the files beside the recipients: message, context, attachments
    terminal         what reaches the terminal
"""
