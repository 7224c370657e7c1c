"""One request out, one response in; did it go out?

::

    port                what a session asks of a transport
    aiohttp_transport   the one that goes through aiohttp
    evidence            did the body leave, and is what came the answer to it?
    answers             an answer, read
    bound               how long it may take
    causes              what went wrong, in words of ours
"""
