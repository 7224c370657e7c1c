"""What is found in many texts, and which of them are worth a look. Pure; in bounded memory."""

from __future__ import annotations

from bisect import insort
from collections import Counter
from collections.abc import Mapping

from attrs import define, field, frozen

from ...markup.render import check
from ...markup.values import Fault, Finding
from ..records import Header
from ..store.ports import PlannedText

#: Texts that are shown of each kind.
EACH = 3


@frozen(kw_only=True)
class JobPreview:
    """What is found in the texts of a job."""

    #: The job's name, without a password.
    journal: str
    people: int
    #: Different texts, and how many of them have findings.
    texts: int
    with_findings: int
    #: A kind of finding (`tag`, `unfilled`, ...) -> how many texts have one.
    findings: Mapping[str, int]
    #: Characters of a message: code points, as the limit of 20,000 is counted here.
    shortest: int
    longest: int


@frozen(kw_only=True)
class Sample:
    """One text that is shown."""

    text: PlannedText
    #: Why: `first`, `longest`, `shortest`; empty: only for what is found in it.
    chosen: tuple[str, ...]


_Ranked = tuple[int, int, PlannedText]


def findings(text: PlannedText) -> tuple[Finding, ...]:
    """What is found in a text, and in the values of columns that it was made of."""
    found = check(text.content.message, text.content.context)
    return found if text.odd is None else (*found, Finding(Fault.VALUE, text.odd, 1))


@define(eq=False)
class Survey:
    """Takes the texts in their order."""

    texts: int = 0
    #: Texts with findings.
    with_findings: int = 0
    #: Texts with this fault.
    faults: Counter[Fault] = field(factory=Counter)
    _first: list[PlannedText] = field(factory=list)
    #: By a number that is least for what is looked for, and the text's own.
    _longest: list[_Ranked] = field(factory=list)
    _shortest: list[_Ranked] = field(factory=list)
    _faulty: dict[Fault, list[PlannedText]] = field(factory=dict)

    @property
    def lengths(self) -> tuple[int, int]:
        """Characters of the shortest message and of the longest; 0 without any."""
        return (self._shortest[0][0], -self._longest[0][0]) if self.texts else (0, 0)

    def add(self, text: PlannedText) -> None:
        """Look at the next text."""
        self.texts += 1
        self._choose(text)
        faults = {finding.fault for finding in findings(text)}
        self.with_findings += bool(faults)
        self.faults.update(faults)
        for fault in faults:
            of_it = self._faulty.setdefault(fault, [])
            if len(of_it) < EACH:
                of_it.append(text)

    def _choose(self, text: PlannedText) -> None:
        if len(self._first) < EACH:
            self._first.append(text)
        length = len(text.content.message)
        for best, rank in ((self._longest, -length), (self._shortest, length)):
            if len(best) < EACH or rank < best[-1][0]:
                insort(best, (rank, text.number, text))
                del best[EACH:]

    def preview(self, name: str, header: Header) -> JobPreview:
        """What was found in the texts of this job."""
        shortest, longest = self.lengths
        return JobPreview(
            journal=name,
            people=header.people,
            texts=self.texts,
            with_findings=self.with_findings,
            findings={fault.value: self.faults[fault] for fault in Fault if self.faults[fault]},
            shortest=shortest,
            longest=longest,
        )

    def samples(self) -> list[Sample]:
        """The texts to show, each once: those with findings, the first, longest and shortest."""
        longest, shortest = (
            [text for *_, text in best] for best in (self._longest, self._shortest)
        )
        chosen = {"first": self._first, "longest": longest, "shortest": shortest}
        faulty = [text for fault in Fault for text in self._faulty.get(fault, ())]
        found = {text.number: text for texts in (faulty, *chosen.values()) for text in texts}
        return [
            Sample(text=text, chosen=tuple(why for why, those in chosen.items() if text in those))
            for _, text in sorted(found.items())
        ]
