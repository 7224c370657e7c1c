"""Whom a run for the first so many people is for. Pure.

The vendor takes a list whole, so a planned chunk that holds more people than are wanted is divided,
as one is whose list was refused: its first part is told, and its rest stays planned. A sample takes
as many people of each text as of any other, in the order of the plan; where there are more texts
than people, one person each of texts that lie evenly between the first and the last. So whoever
looks at the same job chooses the same people, and whoever asks again gets the next ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from attrs import field, frozen

from ...errors import InvalidInput

#: A planned chunk that nobody has claimed: its number, its text's number, and its people.
Free = tuple[int, int, int]


@frozen(kw_only=True)
class First:
    """How many people a run is for."""

    people: int = field()
    #: Of all texts, and not of the first ones.
    sample: bool = False

    @people.validator
    def _check_people(self, _: object, people: int) -> None:
        if people < 1:
            raise InvalidInput(f"first must be 1 or more people, not {people}")


def first_of(people: int | None, *, sample: bool = False) -> First | None:
    """What these arguments say; `InvalidInput` for what says nothing."""
    if people is not None:
        return First(people=people, sample=sample)
    if sample:
        raise InvalidInput("sample is of a number of people: say how many, with first")
    return None


@frozen
class Share:
    """A chunk that is taken, or a part of one."""

    chunk: int
    #: How many of its people, from its first one on.
    people: int
    #: How many it has.
    of: int

    @property
    def divides(self) -> bool:
        """Somebody of it is left."""
        return self.people < self.of


@frozen(kw_only=True)
class Chosen:
    """Whom a run for the first ones has to itself."""

    chunks: int
    people: int


def choose(free: Iterable[Free], first: First) -> list[Share]:
    """What to take of these: so many people, or all where there are fewer."""
    if not first.sample:
        as_one_text = ((chunk, 0, people) for chunk, _, people in free)
        return [*_taken(as_one_text, {0: first.people})]
    chunks, sizes = [*free], dict[int, int]()
    for _, text, people in chunks:
        sizes[text] = sizes.get(text, 0) + people
    return [*_taken(chunks, spread(sizes, first.people))]


def spread(sizes: Mapping[int, int], people: int) -> dict[int, int]:
    """How many people of each text, which has so many at most; texts that have none are left out.

    They differ by one, but for texts that have no more.
    """
    texts = sorted(sizes)
    if len(texts) > people:
        steps = ((place * people // len(texts), text) for place, text in enumerate(texts, 1))
        last, found = 0, dict[int, int]()
        for step, text in steps:
            if step > last:
                last, found[text] = step, 1
        return found
    shares = dict[int, int]()
    for place, text in enumerate(sorted(texts, key=lambda text: sizes[text])):
        shares[text] = min(sizes[text], people // (len(texts) - place))
        people -= shares[text]
    return shares


def _taken(free: Iterable[Free], wanted: dict[int, int]) -> Iterator[Share]:
    left = sum(wanted.values())
    for chunk, text, people in free:
        if share := min(people, wanted.get(text, 0)):
            wanted[text] -= share
            left -= share
            yield Share(chunk, share, people)
        if not left:
            return
