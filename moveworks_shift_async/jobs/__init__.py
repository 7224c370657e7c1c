"""Durable bulk sends: planned into a journal, run from it, resumed from it, accounted from it.

::

    job         `Job`: all of it by the name of its file
    plan/       recipients and texts -> a journal
    run/        a journal -> requests, and every outcome back
    report/     a journal -> what became of everybody
    preview/    a journal -> what people will get, before they do
    store/      where a job is kept
    schedule/   when a job may send
    records     what a journal holds, as values
    left_out    entries of a source that are for nobody, and why, as values
    pages       pages of HTML in one file
    threads     a step in a thread that no cancellation leaves alone, and the way back
    csv_cells   cells of a CSV file that no spreadsheet takes for a formula
"""
