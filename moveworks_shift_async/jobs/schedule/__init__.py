"""When a job may send: windows of the week, a first and a last moment. Pure.

::

    zones       time zones by name, and moments as people write them
    window      hours of some days in a zone
    schedule    all of it as one value: may something leave now, and until when
    change      what a plan or a run says of it, in the place of what is kept
    forecast    when so many requests will have left
"""
