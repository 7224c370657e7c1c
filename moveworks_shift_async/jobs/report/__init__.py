"""A journal -> what became of everybody.

::

    account         as values
    timeline        who was told when, and what made it wait
    sentences       in words
    ways            what can be done about it, as commands
    lines           as lines for a terminal
    csv_export      as CSV, a row for each recipient and each entry left out
    page            as one page of HTML; its frame stands in page.html
    plot            the drawing on it: accepted people over time, and what the limit allowed
    live            what only a page says that is looked at while the job goes on
    requests_chart  requests against the limit in the last minutes, on such a page
    report_files    the CSV and the page as files, all or none
"""
