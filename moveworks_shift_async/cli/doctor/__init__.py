"""`moveworks-shift doctor`: why does a tenant not work?

::

    command      the options, the lines or the JSON, the exit code
    examination  all checks in their order; one that breaks does not stop the others
    found        the settings, each with where it came from
    machine      versions, the gate, the directory of journals, the database
    network      proxy, name, connection and TLS
    server       the token, the auth test, the clock, a message
    regions      which region takes the credential
    setup        what is examined, and what the checks before have found
    finding      what one check says

Nobody but the server of the settings hears of the credential, unless `--all-regions` is given, and
nobody is told anything but by `--to`.
"""
