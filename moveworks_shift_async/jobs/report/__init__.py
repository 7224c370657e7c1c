"""A journal -> what became of everybody.

::

    account       as values
    timeline      who was told when, and what made it wait
    sentences     in words
    lines         as lines for a terminal
    csv_export    as CSV, a row for each recipient and each entry left out
    page          as one page of HTML; its frame stands in page.html
    plot          the drawing on it: accepted people over time, and what the limit allowed
    report_files  the CSV and the page as files, all or none
"""
