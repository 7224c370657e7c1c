"""The error tree: what each class says about the recipients, and that none is lost in a pickle."""

from __future__ import annotations

import copy
import pickle
import re

import pytest

from moveworks_shift_async import errors
from moveworks_shift_async.errors import (
    BadRequest,
    BadResponse,
    ClientClosed,
    Concerns,
    ConfigurationError,
    ConnectionFailed,
    DeadlineExceeded,
    InvalidInput,
    JobRunning,
    JobStopped,
    JournalError,
    MoveworksError,
    NotAddresses,
    NotAllowed,
    NotAuthenticated,
    NotFound,
    NotSent,
    OtherLimit,
    Outcome,
    OutcomeUnknown,
    RateLimited,
    RefusedByServer,
    ServerFailed,
    TokenUnavailable,
    error_class,
)

PLAIN = (
    MoveworksError,
    NotSent,
    InvalidInput,
    NotAddresses,
    ConfigurationError,
    OtherLimit,
    ClientClosed,
    DeadlineExceeded,
    ConnectionFailed,
    JournalError,
    JobRunning,
    OutcomeUnknown,
    BadResponse,
)
REFUSALS = (
    RefusedByServer,
    BadRequest,
    NotAuthenticated,
    NotAllowed,
    NotFound,
    RateLimited,
    ServerFailed,
)


def family(root: type[MoveworksError]) -> set[type[MoveworksError]]:
    """`root` and every class below it."""
    return {root}.union(*(family(child) for child in root.__subclasses__()))


def every_error() -> list[MoveworksError]:
    """One error of each class, with every attribute set to something of its own."""
    refused = [
        kind("the words", status=499, code="A_CODE", attempts=3, retry_after=7.5)
        for kind in REFUSALS
    ]
    token = TokenUnavailable("no token", attempts=2, cause=refused[2], retry_after=1.5)
    stopped = JobStopped("stopped", attempts=1, cause=refused[1])
    return [*(kind("the words", attempts=4) for kind in PLAIN), *refused, token, stopped]


def attributes(error: MoveworksError) -> dict[str, object]:
    """What an error holds, in a form that can be compared."""
    return {
        name: (type(value), attributes(value)) if isinstance(value, MoveworksError) else value
        for name, value in {"args": error.args, **error.__dict__}.items()
    }


def name_of(error: MoveworksError) -> str:
    """A test's id."""
    return type(error).__name__


def test_every_class_is_tested_here() -> None:
    """The list of these tests misses no class of the module."""
    assert {type(error) for error in every_error()} == family(MoveworksError)


def test_the_tree_is_drawn_as_it_is() -> None:
    """The module's docstring shows each class below the class that it derives from."""
    path: list[str] = []
    drawn: dict[str, str | None] = {}
    for line in (errors.__doc__ or "").splitlines():
        found = re.match(r"(    [│├└─ ]*)([A-Z]\w+)(?:  |$)", line)
        if found is None:
            continue
        depth = len(found[1]) // 4 - 1
        path[depth:] = [found[2]]
        drawn[found[2]] = path[depth - 1] if depth else None
    real = {kind.__name__: kind.__bases__[0].__name__ for kind in family(MoveworksError)}
    assert drawn == {**real, "MoveworksError": None}


@pytest.mark.parametrize("error", every_error(), ids=name_of)
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_errors_pickle_whole(error: MoveworksError, protocol: int) -> None:
    """An error that went through pickle has its class, its words and all its attributes."""
    error.add_note("a note")
    back = pickle.loads(pickle.dumps(error, protocol))  # noqa: S301 - our own bytes
    assert type(back) is type(error)
    assert str(back) == str(error)
    assert attributes(back) == attributes(error)


@pytest.mark.parametrize("error", every_error(), ids=name_of)
def test_errors_copy_whole(error: MoveworksError) -> None:
    """A copy and a deep copy are errors of their own with the same attributes."""
    for back in (copy.copy(error), copy.deepcopy(error)):
        assert back is not error
        assert type(back) is type(error)
        assert attributes(back) == attributes(error)
        back.attempts += 1
        assert back.attempts == error.attempts + 1


def test_a_deep_copy_has_its_own_cause() -> None:
    """Changing the cause of a deep copy leaves the first error's cause alone."""
    cause = RateLimited("slow down", status=429)
    back = copy.deepcopy(TokenUnavailable("no token", cause=cause))
    assert isinstance(back.cause, RateLimited)
    assert back.cause is not cause
    assert back.cause.status == 429


@pytest.mark.parametrize("error", every_error(), ids=name_of)
def test_an_error_shows_its_words_only(error: MoveworksError) -> None:
    """`str` is the message, `repr` the class and the message, and nothing else."""
    assert str(error) == error.args[0]
    assert repr(error) == f"{type(error).__name__}({error.args[0]!r})"


@pytest.mark.parametrize(
    ("kind", "outcome"),
    [
        (MoveworksError, Outcome.NOT_SENT),
        *((kind, Outcome.NOT_SENT) for kind in sorted(family(NotSent), key=str)),
        (OutcomeUnknown, Outcome.UNKNOWN),
        (BadResponse, Outcome.UNKNOWN),
        (ServerFailed, Outcome.UNKNOWN),
        *((kind, Outcome.REJECTED) for kind in REFUSALS if kind is not ServerFailed),
    ],
)
def test_each_class_says_whether_it_went_out(kind: type[MoveworksError], outcome: Outcome) -> None:
    """Not sent, refused or unknown is known by the class alone; a 5xx is unknown."""
    assert kind.outcome is outcome


@pytest.mark.parametrize("kind", sorted(family(MoveworksError), key=str))
def test_a_class_is_found_by_the_name_that_a_journal_keeps(kind: type[MoveworksError]) -> None:
    """Its words fit into a line, which adds what goes before and after them."""
    assert error_class(kind.__name__) is kind
    for words in (kind.means, kind.remedy, kind.advice, kind.went_out):
        assert re.fullmatch(r"([A-Z][^.\n]*[^.\s])?", words)


@pytest.mark.parametrize("name", ["", "Novel", "Outcome", "Callable", "error_class", "ValueError"])
def test_a_name_that_is_no_error_of_ours_has_no_class(name: str) -> None:
    """Another version may have written the journal, or a process that died before it knew."""
    assert error_class(name) is None


@pytest.mark.parametrize(
    ("error", "unprocessed"),
    [
        (RateLimited("x", status=429), True),
        (BadRequest("x", status=408), True),
        (BadRequest("x", status=425), True),
        (BadRequest("x", status=400), False),
        (ServerFailed("x", status=503), False),
        (OutcomeUnknown("x"), False),
    ],
)
def test_only_a_server_that_says_so_has_not_processed(
    error: MoveworksError, unprocessed: bool
) -> None:
    """RFC 6585, section 4; RFC 9110, section 15.5.9; RFC 8470, section 5.2."""
    assert error.unprocessed is unprocessed


def test_only_a_request_at_fault_concerns_one_list() -> None:
    """A token request that is refused with a 400 would be refused for every other list, too."""
    assert BadRequest("x", status=400).concerns is Concerns.THIS_LIST
    assert NotAuthenticated("invalid_client", status=400).concerns is Concerns.EVERYBODY


def test_outcomes_are_the_words_of_the_report() -> None:
    """An outcome is a text, fit for JSON."""
    assert [str(outcome) for outcome in Outcome] == ["accepted", "rejected", "unknown", "not_sent"]


def test_invalid_input_is_a_value_error() -> None:
    """Who catches `ValueError` for a wrong argument catches ours."""
    assert issubclass(InvalidInput, ValueError)


def test_what_is_not_said_has_a_default() -> None:
    """Attributes that nobody set say nothing."""
    assert MoveworksError("x").attempts == 0
    refused = NotFound("x", status=404)
    assert (refused.status, refused.code, refused.retry_after, refused.attempts) == (
        404,
        None,
        None,
        0,
    )
    token = TokenUnavailable("x")
    assert (token.cause, token.retry_after, token.attempts) == (None, None, 0)
