"""`--first` and `--stop-if`: their options, and what is said of them before a run and after it."""

from __future__ import annotations

from typing import Any

from attrs import frozen

from ..jobs.report.account import JobAccount
from ..jobs.report.ways import ways_on
from ..jobs.run.stop_if import parse_stop_rules
from ..jobs.store.first import first_of
from ..text import people, shell_word
from .shared_options import Decorator, option, options

run_limit_options: Decorator = options(
    option("--first", metavar="N", type=int, default=None, show_default="all",
           help="Send to exactly N people, the next ones in the order of the plan, and end with"
                " code 3 if others are left. Of several runs at once each has its own."),
    option("--sample", is_flag=True,
           help="With --first: as many people of each text, and not the next ones."),
    option("--stop-if", metavar="LIMIT", multiple=True,
           help="End, as `stop` does, once this run has met more: \"rejected>2%\" or"
                " \"unknown>0\" of the people whose requests have ended, \"throttled>10%\" of"
                " the requests. Repeatable. A percentage counts once one request alone cannot"
                " cross it."),
)  # fmt: skip


@frozen(kw_only=True)
class RunLimits:
    """What these options say; `InvalidInput` for what says nothing, before anything else."""

    first: int | None
    sample: bool
    stop_if: tuple[str, ...]

    def __attrs_post_init__(self) -> None:
        first_of(self.first, sample=self.sample)
        parse_stop_rules(self.stop_if)

    def arguments(self) -> dict[str, Any]:
        """For `Job.run` and `Job.resume`."""
        return {"first": self.first, "sample": self.sample, "stop_if": self.stop_if}

    def most(self, count: int) -> int:
        """How many of so many it is for."""
        return count if self.first is None else min(count, self.first)

    def requests(self, account: JobAccount) -> int:
        """About how many requests it takes: as many as so many people of the job are usually in.

        A sample takes one for each text at least.
        """
        left, count = account.chunks_left, account.not_sent
        if self.first is None or self.first >= count:
            return left
        texts = min(self.first, account.texts) if self.sample else 1
        return min(left, max(texts, -(-self.first * left // count)))


def end_line(account: JobAccount, journal: str, ending: str | None) -> str | None:
    """Why the run ended, if it left somebody or met a limit, and how to go on."""
    if ending is None:
        return None
    why, left = f"This run has ended: {ending}.", account.not_sent
    if not left:
        return why
    said = f"{people(left)} {'was' if left == 1 else 'were'} not sent to"
    if account.running:
        return f"{why} {said} yet; other runs of the job are at work on them"
    ways = (_named(way.command, shell_word(journal)) for way in ways_on(account))
    return "; go on with: ".join([f"{why} {said}", *ways])


def _named(command: str, journal: str) -> str:
    """The account is for others as well, and leaves out a name that looks like an address."""
    return command if journal in command else command.replace(" JOURNAL", f" {journal}", 1)
