"""A look at what people will get: every text once, some of them on a page."""

from __future__ import annotations

import html
import json
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from selenium import webdriver

from moveworks_shift_async.blocking import Job as BlockingJob
from moveworks_shift_async.errors import InvalidInput, JournalError
from moveworks_shift_async.jobs.job import Job
from moveworks_shift_async.jobs.preview.preview import check_page
from moveworks_shift_async.jobs.preview.preview_page import FINDINGS
from moveworks_shift_async.jobs.preview.survey import EACH, Survey, findings
from moveworks_shift_async.jobs.records import Header
from moveworks_shift_async.jobs.store.ports import PlannedText
from moveworks_shift_async.jobs.store.postgres.listing import forget
from moveworks_shift_async.jobs.store.postgres.store import PostgresStore
from moveworks_shift_async.markup.values import Fault
from moveworks_shift_async.wire.moveworks import Content

from .browsers import CONTRAST, CONTRASTS, logged, look_as, started
from .hostile import HOSTILE

HEADER = Header(source="people.csv", event_id=None, planned_at=0.0, people=9)


def text(number: int, message: str, odd: str | None = None) -> PlannedText:
    """One text of a job."""
    return PlannedText(number=number, content=Content(event_id=None, message=message), odd=odd)


def surveyed(*texts: PlannedText) -> Survey:
    """A look at these."""
    survey = Survey()
    for one in texts:
        survey.add(one)
    return survey


# --- which texts are shown ------------------------------------------------------------------


def test_the_first_the_longest_and_the_shortest_are_shown_once_each() -> None:
    """With why, in the order of their numbers."""
    lengths = [5, 4, 6, 9, 1, 9, 9, 9, 1, 2, 1, 1, 7]
    survey = surveyed(*(text(n, "x" * length) for n, length in enumerate(lengths)))
    assert [(one.text.number, one.chosen) for one in survey.samples()] == [
        (0, ("first",)), (1, ("first",)), (2, ("first",)),
        (3, ("longest",)), (4, ("shortest",)), (5, ("longest",)), (6, ("longest",)),
        (8, ("shortest",)), (10, ("shortest",)),
    ]  # fmt: skip
    preview = survey.preview("j", HEADER)
    assert (preview.texts, preview.shortest, preview.longest) == (13, 1, 9)
    assert (preview.with_findings, preview.findings, preview.people) == (0, {}, 9)


def test_some_of_each_kind_of_finding_are_shown() -> None:
    """Counted are all of them, and a text once for each kind."""
    few = [text(n, "xxxx") for n in range(EACH)]
    bad = [text(100 + n, f"xxxx<u>{n % 10}</u><x>", odd='"a" says "-"') for n in range(50)]
    survey = surveyed(*few, *bad, text(200, "xxxx<u></u> {{a}}"))
    shown = [one.text.number for one in survey.samples() if one.text.number >= 100]
    assert shown == [100, 101, 102, 200]
    preview = survey.preview("j", HEADER)
    assert preview.findings == {"tag": 51, "unfilled": 1, "value": 50}
    assert preview.with_findings == 51
    assert {one.fault for one in findings(bad[0])} == {Fault.TAG, Fault.VALUE}


@given(st.lists(st.integers(1, 40), max_size=60))
def test_the_ends_are_the_ends_and_few_are_kept(lengths: list[int]) -> None:
    """However many come."""
    survey = surveyed(*(text(n, "x" * length) for n, length in enumerate(lengths)))
    preview, samples = survey.preview("j", HEADER), survey.samples()
    assert preview.texts == len(lengths)
    assert (preview.shortest, preview.longest) == (min(lengths, default=0), max(lengths, default=0))
    assert len(samples) <= 3 * EACH
    assert len({one.text.number for one in samples}) == len(samples)


# --- a job ----------------------------------------------------------------------------------

PEOPLE = [
    {"email": "ada@example.com", "name": "Ada"},
    {"email": "bob@example.com", "name": "None"},
    {"email": "cy@example.com", "name": "<Cy> & Co"},
    {"email": "di@example.com", "name": "None"},
]


@pytest.fixture(params=["file", "postgres"])
def journal(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The name of a job, in a file and in a database."""
    if request.param == "file":
        return str(tmp_path / "job")
    return f"{request.getfixturevalue('postgres')}#{uuid4()}"


async def planned(journal: str, message: str = "Hi <b>{name}</b> {{id}}", **more: object) -> Job:
    """A job of four people and three texts."""
    await Job.plan(journal, PEOPLE, template=message, legacy=True, **more)  # type: ignore[arg-type]
    return Job(journal)


async def test_a_job_is_looked_at_in_a_file_and_in_a_database(journal: str, tmp_path: Path) -> None:
    """The same is found, and the same is shown, but for the job's name."""
    job = await planned(journal)
    page = tmp_path / "page.html"
    preview = await job.preview(page)
    assert (preview.journal, preview.people, preview.texts) == (job.name, 4, 3)
    assert (preview.with_findings, preview.findings) == (3, {"unfilled": 3, "value": 1})
    assert (preview.shortest, preview.longest) == (20, 36)
    shown = page.read_text()
    assert "For 2 people: bob@example.com, di@example.com" in shown
    assert "&#34;name&#34; says &#34;None&#34;" in shown
    assert html.escape("Hi <b>&lt;Cy&gt; &amp; Co</b> {{id}}") in shown
    assert stat.S_IMODE(page.stat().st_mode) == 0o600
    assert await job.preview() == preview


async def test_it_is_looked_at_while_and_after_it_runs_and_stays_as_it_is(tmp_path: Path) -> None:
    """A slot that the context fills is no finding; one text for all is one."""
    journal = tmp_path / "job"
    message, context = "Hi {{id}}", {"slots": {"id": "7"}}
    await Job.plan(journal, PEOPLE, message=message, legacy=True, context=context)
    before = journal.read_bytes()
    preview = await Job(journal).preview(tmp_path / "page.html")
    assert (preview.texts, preview.with_findings, preview.people) == (1, 0, 4)
    shown = (tmp_path / "page.html").read_text()
    assert "nothing found" in shown
    assert "ada@example.com, bob@example.com, cy@example.com, di@example.com<" in shown
    assert "&#34;id&#34;: &#34;7&#34;" in shown
    assert journal.read_bytes() == before


def test_the_blocking_face_looks_too(tmp_path: Path) -> None:
    """With the same names."""
    BlockingJob.plan(tmp_path / "job", PEOPLE, template="{name}", legacy=True)
    assert BlockingJob(tmp_path / "job").preview().findings == {"value": 1}


async def test_what_is_not_whole_or_not_there_is_not_looked_at(tmp_path: Path) -> None:
    """And no page is written; one that is there stays."""
    page = tmp_path / "page.html"
    with pytest.raises(JournalError, match="there is no"):
        await Job(tmp_path / "none").preview(page)
    assert not page.exists()
    job = await planned(str(tmp_path / "job"))
    page.write_text("mine")
    for look in (job.preview(page), _checked(str(page))):
        with pytest.raises(InvalidInput, match="is there already and was left as it is"):
            await look
    assert page.read_text() == "mine"
    check_page(str(tmp_path / "other.html"))


async def test_a_job_whose_texts_were_removed_cannot_be_looked_at(postgres: str) -> None:
    """It says so; its numbers are all there is."""
    url = f"{postgres}#{uuid4()}"
    job = await planned(url)
    assert await forget(PostgresStore.at(url), 0.0)
    with pytest.raises(JournalError, match="were removed on"):
        await job.preview()


async def _checked(page: str) -> None:
    check_page(page)


async def test_many_findings_and_people_are_cut_short(tmp_path: Path) -> None:
    """A page is for looking at."""
    message = "".join(f"<x{n}>" for n in range(FINDINGS + 5))
    await Job.plan(tmp_path / "job", [f"p{n}@example.com" for n in range(700)], message=message,
                   legacy=True)  # fmt: skip
    await Job(tmp_path / "job").preview(tmp_path / "page.html")
    shown = (tmp_path / "page.html").read_text()
    assert "and 5 more</li>" in shown
    assert "For 700 people: p0@example.com," in shown
    assert "p4@example.com and 695 more" in shown
    assert "p5@example.com" not in shown


# --- in a browser ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def browser() -> Iterator[webdriver.Chrome]:
    """Chromium."""
    yield from started()


@pytest.fixture
async def hostile(tmp_path: Path) -> list[Path]:
    """Previews of nine messages of somebody who means harm, as files."""
    pages = []
    for number, message in enumerate(HOSTILE.values()):
        job, page = tmp_path / f"{number}", tmp_path / f"{number}.html"
        person = [{"email": "ada@example.com", "x": message}]
        await Job.plan(job, person, template="{x}", legacy=True, escape=False)
        await Job(job).preview(page)
        pages.append(page)
    return pages


def test_hostile_messages_are_harmless_text_in_a_browser(
    browser: webdriver.Chrome, hostile: list[Path]
) -> None:
    """No script runs, nothing is asked for, and all that they hold is there to be read."""
    look_as(browser, width=1280, scheme="light")
    for page, message in zip(hostile, HOSTILE.values(), strict=True):
        logged(browser, "performance")
        logged(browser, "browser")
        browser.get(page.as_uri())
        browser.switch_to.frame(browser.find_element("tag name", "iframe"))
        assert "Hello" in browser.find_element("tag name", "body").text
        tags = browser.execute_script(
            "return [...document.querySelectorAll('body *')].map(node => node.nodeName)"
        )
        assert set(tags) <= {"CODE", "B", "P"}
        browser.switch_to.default_content()
        source = browser.find_element("css selector", ".sides pre").get_property("textContent")
        assert source == message
        assert browser.title == "Preview: 1 text for 1 person"
        assert requests(browser) == {page.as_uri()}
        assert logged(browser, "browser") == []


def requests(browser: webdriver.Chrome) -> set[str]:
    """What was asked for since the last question, but for what needs no request."""
    events = [json.loads(entry["message"])["message"] for entry in logged(browser, "performance")]
    asked = {
        event["params"]["request"]["url"]
        for event in events
        if event["method"] == "Network.requestWillBeSent"
    }
    return {url for url in asked if not url.startswith(("data:", "about:"))}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_every_text_can_be_read(
    browser: webdriver.Chrome, hostile: list[Path], width: int, scheme: str
) -> None:
    """In light and dark, narrow and wide, on the page and in its frames."""
    look_as(browser, width=width, scheme=scheme)
    browser.get(hostile[2].as_uri())
    assert browser.execute_script("return document.documentElement.scrollWidth") == width
    found = browser.execute_script(CONTRASTS)
    assert [text for ratio, _, text in found if ratio < CONTRAST] == []
    assert [text for _, size, text in found if size < 9.5] == []
    frame = browser.find_element("tag name", "iframe")
    assert frame.get_attribute("title") == "Text 1 as it may look"
    browser.switch_to.frame(frame)
    ink, behind = browser.execute_script(
        "return [getComputedStyle(document.body).color,"
        " getComputedStyle(document.querySelector('code')).backgroundColor]"
    )
    browser.switch_to.default_content()
    assert _bright(ink) == (scheme == "dark")
    assert _bright(behind) == (scheme == "light")


def _bright(color: str) -> bool:
    return sum(map(int, re.findall(r"\d+", color)[:3])) > 3 * 128
