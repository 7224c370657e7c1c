"""Jobs on many machines: the only importer of procrastinate, the engine that wakes the workers.

::

    blueprint    a submitted job as a task of the engine, for an app of ours or of the user's own
    worker       the process that takes jobs from the queue until it is told to stop
    submission   which jobs are handed to the workers
    engine       its connections and its names
    tables       our tables and the engine's: made, brought up to date, looked for
    policy       which errors of a task another try may cure

Theory of operation. The engine only wakes: its task carries the name of a job and the number of its
submission, and means "work on it until nothing is planned". What was sent stands in the tables of
the job, so it harms nobody where a task runs twice or not at all: a stalled one is given to another
worker, and an open submission without a task gets new ones.
"""

from .blueprint import make_blueprint

__all__ = ["make_blueprint"]
