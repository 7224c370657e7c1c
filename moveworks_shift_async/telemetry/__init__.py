"""Attempts as values for whoever watches, and OpenTelemetry.

::

    watchers   tells everybody who watches, and keeps what they raise away from the call
    log        our own logging: a line for each attempt, and one for each episode
    choice     whether a client is traced and measured
    otel       spans and metrics of OpenTelemetry; it and what is below need the extra `otel`
    metrics    what is measured
    silence    while a request of ours is out, other instrumentation keeps still
"""
