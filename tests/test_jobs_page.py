"""The page of a job, as text and in a browser: Debian's Chromium, driven by its own driver."""

from __future__ import annotations

import base64
import contextlib
import html
import json
import re
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from attrs import evolve
from selenium import webdriver
from selenium.common.exceptions import WebDriverException

from moveworks_shift_async.errors import InvalidInput
from moveworks_shift_async.jobs.records import Event, Incident, State
from moveworks_shift_async.jobs.report.account import ErrorKind, JobAccount
from moveworks_shift_async.jobs.report.lines import account_lines
from moveworks_shift_async.jobs.report.page import ROWS, moment, render_page
from moveworks_shift_async.jobs.report.plot import NARROW, WIDE, _Time, draw
from moveworks_shift_async.jobs.report.sentences import headline, waited
from moveworks_shift_async.jobs.store.rows import pack
from moveworks_shift_async.jobs.store.sqlite.journal import Journal
from moveworks_shift_async.wire.moveworks import Content

from . import browsers, journals
from .browsers import CONTRAST, CONTRASTS, logged, look_as
from .hostile import HOSTILE as MESSAGES
from .journals import BEGAN, begin, planned, read_account, send, write_report


def begun_only(path: Path) -> Journal:
    """A run has begun, and nobody was told yet."""
    journal = planned(path, 1, size=1)
    begin(journal, BEGAN)
    return journal


def crowded(path: Path) -> Journal:
    """More kinds of errors and of outages than a page tells one by one, and many equal 429s."""
    journal = planned(path, 60, size=1)
    with journal.transaction():
        begin(journal, BEGAN)
        for chunk in range(60):
            at, fault = BEGAN + chunk, f"fault {'<b>x' * 20}{chunk}"
            send(journal, [chunk], lambda n: BEGAN + n, State.REJECTED, reason=fault)
            journal.add_event(Event(at=at, incident=Incident.THROTTLED, seconds=1.5))
            journal.add_event(Event(at=at, incident=Incident.OUTAGE, seconds=1, reason=fault))
    return journal


def unpaid(path: Path) -> Journal:
    """A credential that was refused at once."""
    journal = planned(path, 120)
    with journal.transaction():
        run = begin(journal, BEGAN)
        send(journal, [0, 1], lambda _: BEGAN + 1, State.PLANNED, error="NotAuthenticated",
             reason="401 UNAUTHENTICATED: the API key is not valid")  # fmt: skip
        journal.write("end_run", (BEGAN + 1, "401 UNAUTHENTICATED", run))
    return journal


def various(path: Path, count: int = 10) -> Journal:
    """Many texts, each with an address in it."""
    journal = Journal.create(str(path), journals.HEADER)
    with journal.transaction():
        for n in range(count):
            message = f"Hello floor {n}, ask floor{n}@example.com."
            context = {"slots": {"floor": n, "mail": f"floor{n}@example.com"}}
            journal.add_content(n, Content(event_id=None, message=message, context=context))
        chunks = range(2 * count)
        journal.add_chunks((n, n % count, 5, pack(journals.addresses(n, 5))) for n in chunks)
        header = evolve(journals.HEADER, people=10 * count, chunks=len(chunks), texts=count)
        journal.complete(header)
        run = begin(journal, BEGAN)
        send(journal, chunks, lambda n: BEGAN + n)
        journal.write("end_run", (BEGAN + 30, "done", run))
    return journal


#: Ends every element, runs, loads, fills in, turns round, clears a terminal, names somebody.
HOSTILE = (
    "</title></style></pre></script><script>alert(1)</script><img src=x onerror=alert(1)>"
    "{{6007*7}}{% raw %}\u202elive\x1b[2J eve@example.org "
)


def hostile(path: Path) -> Journal:
    """Every foreign field wants to be more than text."""
    journal = Journal.create(str(path), evolve(journals.HEADER, source=HOSTILE, event_id=HOSTILE))
    with journal.transaction():
        content = Content(event_id=None, message=HOSTILE + "W" * 400, context={HOSTILE: [HOSTILE]})
        journal.add_content(0, content)
        journal.add_chunks((n, 0, 5, pack(journals.addresses(n, 5))) for n in range(4))
        journal.complete(evolve(journals.HEADER, people=20, chunks=4, texts=1))
        run = begin(journal, BEGAN)
        send(journal, [0, 1], lambda n: BEGAN + n, State.REJECTED, error=HOSTILE, reason=HOSTILE)
        journal.add_event(Event(at=BEGAN, incident=Incident.OUTAGE, seconds=4, reason=HOSTILE))
        journal.write("end_run", (BEGAN + 9, HOSTILE, run))
    return journal


JOBS: dict[str, Callable[[Path], Journal]] = {
    "finished": journals.finished,
    "troubled": journals.troubled,
    "halfway": journals.halfway,
    "unbegun": lambda path: planned(path, 400),
    "begun only": begun_only,
    "crowded": crowded,
    "unpaid": unpaid,
    "various": various,
    "hostile": hostile,
    "interrupted": lambda path: Journal.create(str(path), journals.HEADER),
}


@pytest.fixture(scope="module", params=JOBS)
def account(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> JobAccount:
    """The account of each kind of job."""
    folder = tmp_path_factory.mktemp("job")
    return read_account(JOBS[request.param](folder / "a job"))


class _Outline(HTMLParser):
    """Opened and closed elements, ids, and whatever would be fetched."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.named: list[str] = []
        self.tags: list[str] = []
        self.fetched: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in ("meta", "link"):
            self.open.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            if name == "aria-labelledby":
                self.named += (value or "").split()
            if name in ("src", "href", "xlink:href") and not (value or "").startswith(("#", "dat")):
                self.fetched.append(value or "")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in ("meta", "link"):
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_whole_and_fetches_nothing(account: JobAccount) -> None:
    """Elements are closed, ids are given once and lead somewhere, and all is in the file."""
    page = render_page(account)
    outline = _Outline(page)
    assert outline.open == []
    assert len(set(outline.ids)) == len(outline.ids)
    assert set(outline.named) <= set(outline.ids)
    assert outline.fetched == []
    assert outline.tags.count("h1") == 1
    assert "script" not in outline.tags
    assert set(re.findall(r"https?://[^\"\s]+", page)) <= {
        "http://www.w3.org/1999/xlink", "http://www.w3.org/2000/svg",
    }  # fmt: skip


def test_the_page_holds_no_addresses(account: JobAccount) -> None:
    """Not even one that a server's words hold. A text for all stands as it is, and is no list."""
    page = render_page(evolve(account, examples=()) if account.texts == 1 else account)
    assert "@example" not in page


def test_the_page_says_it_in_words(tmp_path: Path) -> None:
    """Totals, what they mean, what to do with the exact commands, and what went wrong."""
    page = render_page(read_account(journals.troubled(tmp_path / "it's")))
    text = " ".join(re.sub(r"<[^>]+>", " ", page[page.index("<body>") :]).split())
    command = f"moveworks-shift resume '{tmp_path}/it'\"'\"'s'"
    for words in (
        "495,000 of 600,000 people were accepted for delivery.",
        "nothing tells who has read it",
        "Decide about 5,000 people who may have been told or not",
        "some may be told twice",
        "99,500 people are left to send to",
        "INVALID_VALUE: [address] is no recipient (BadRequest)",
        "The limit is 120 requests a minute, then 60 requests a minute",
        "not running for 14 h 53 min, drawn short",
        "Left out before the job began: 1 duplicate and 2 invalid addresses.",
    ):
        assert words in text
    escaped = command.replace("'", "&#39;").replace('"', "&#34;")
    for end in (" --unknown resend<", " --unknown skip<", "<"):
        assert escaped + end in page


def test_foreign_words_are_text(tmp_path: Path) -> None:
    """A server's markup is shown, not obeyed; what is too much is counted."""
    page = render_page(read_account(crowded(tmp_path / "<i>")))
    assert "<b>x" not in page
    assert "&lt;b&gt;x" in page
    assert "&lt;i&gt;" in page
    assert f"And {60 - ROWS} more kinds. <code>" in page
    assert f"And {61 - ROWS} more kinds.</p>" in page


def words_of(page: str) -> str:
    """What a reader sees, as one line."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page[page.index("<body>") :])).split())


def test_nothing_foreign_is_more_than_text(tmp_path: Path) -> None:
    """Message, context, source, event, path, the server's words and its error: all harmless."""
    journal = hostile(tmp_path / "a<b>\x1b[2J\udcff eve@example.org")
    page = render_page(read_account(journal))
    outline = _Outline(page)
    assert not {"script", "img"} & {*outline.tags}
    assert "42049" not in re.findall(r"\d+", words_of(page))
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", page)
    assert page.count("&lt;script&gt;alert(1)&lt;/script&gt;") >= 7
    # The text for all is shown as it is; everywhere else an address is hidden.
    assert "eve@example.org" not in re.sub(r"<pre.*?</pre>", "", page, flags=re.DOTALL)
    assert "moveworks-shift resume JOURNAL" in page
    text = "\n".join(account_lines(read_account(journal)))
    assert "eve@example.org" not in text
    assert text.replace("\n", "").isprintable()


def test_it_shows_what_was_said_and_to_whom(tmp_path: Path) -> None:
    """The message and its context as they were written, markup and line ends included."""
    journal = journals.finished(tmp_path / "j")
    message = "<p>Hello,</p>\n\n  the VPN is <b>down</b>.\tAsk it@example.com"
    journal._db.connection.execute(
        "UPDATE content SET message = ?, context = ?", (message, '{"slots": {"id": "ü<7"}}')
    )
    page = render_page(read_account(journal))
    assert f'<pre dir="auto">\n{html.escape(message)}</pre>' in page
    assert "&#34;id&#34;: &#34;ü&lt;7&#34;" in page
    seen = words_of(page)
    assert f"What was sent To event {journals.EVENT}, for 60,000 people from people.csv." in seen
    assert "What is to be sent" in words_of(render_page(read_account(unpaid(tmp_path / "k"))))
    message = "x" * 5_000
    journal._db.connection.execute("UPDATE content SET message = ?", (message,))
    assert "x... and 1,000 more characters" in render_page(read_account(journal))


@pytest.mark.parametrize(("count", "shown"), [(10, 10), (11, 3)])
def test_of_many_texts_some_are_shown(tmp_path: Path, count: int, shown: int) -> None:
    """All of ten, each with its people; of more a few, since each may be a person's own."""
    account = read_account(various(tmp_path / "j", count))
    assert len(account.examples) == shown
    assert {text.people for text in account.examples} == {10}
    assert "floor" not in repr(account)
    seen = words_of(render_page(account))
    assert f"in {count} different texts" in seen
    assert "Hello floor 2, ask [address]" in seen
    assert ("And 8 more texts; the journal holds them." in seen) is (count > shown)


def test_a_plan_that_broke_off_has_no_more_texts_than_it_shows(tmp_path: Path) -> None:
    """The journal holds texts, and their number is written down at the end of the plan."""
    broken_off = evolve(read_account(various(tmp_path / "job")), complete=False, texts=0)
    assert broken_off.examples
    assert "more text" not in render_page(broken_off)


def test_words_of_which_nothing_can_be_shown_are_none(tmp_path: Path) -> None:
    """The name of the error stands in their place, and something where it has none."""
    account = read_account(various(tmp_path / "job"))
    kind = ErrorKind(
        state=State.UNKNOWN, error="ServerFailed", message=" \u2003 ", people=1, chunks=1
    )
    nameless = evolve(kind, error=" ")
    page = render_page(evolve(account, errors=(kind, nameless)))
    assert "<td>ServerFailed</td>" in page
    assert "<td>no reason is known</td>" in page


def test_zero_says_nothing_more(tmp_path: Path) -> None:
    """Nobody was rejected, unknown or left: a number is enough."""
    seen = words_of(render_page(read_account(various(tmp_path / "j"))))
    assert "accepted 100 Scheduled by the vendor. rejected 0 unknown 0 not sent 0" in seen


def test_equal_waits_are_one_row_with_a_count(tmp_path: Path) -> None:
    """A pause that sixty requests met was one pause: it is not sixty times as long."""
    account = read_account(crowded(tmp_path / "j"))
    seen = words_of(render_page(account))
    row = "0 s to 59 s answer 429: the limit was met 60 times 1 min"
    assert seen.count("answer 429") == 1
    assert row in seen
    assert waited(account, Incident.THROTTLED) == "60 times, 1 min"


def test_a_job_that_was_refused_had_no_outage(tmp_path: Path) -> None:
    """Nobody was told, its last run has ended, and the job has not."""
    seen = words_of(render_page(read_account(unpaid(tmp_path / "j"))))
    assert "outage" not in seen
    assert "last run ended 2026-05-14 09:00:01 UTC" in seen
    assert "who was accepted" not in seen


@pytest.mark.parametrize(
    ("zone", "at", "shown"),
    [
        ("UTC", 9, "2026-05-14 09:00:00 UTC"),
        ("CET-1CEST,M3.5.0,M10.5.0/3", 9, "2026-05-14 09:00:00 UTC (11:00:00 CEST)"),
        ("JST-9", 20, "2026-05-14 20:00:00 UTC (2026-05-15 05:00:00 JST)"),
    ],
)
def test_local_time_stands_beside_utc(
    zone: str, at: int, shown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where it is another time; with its date where that is another day."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", zone)
        time.tzset()
        found = moment(datetime(2026, 5, 14, at, tzinfo=UTC))
    time.tzset()
    assert found == shown


@pytest.mark.parametrize("shape", [WIDE, NARROW], ids=lambda shape: shape.name)
def test_the_plot_is_one_drawing_with_texts_and_no_colours_of_its_own(
    account: JobAccount, shape: Any
) -> None:
    """It says what it shows, its texts are texts, and the page decides on colours and type."""
    svg = draw(account, shape)
    whole = svg.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1)
    root = ElementTree.fromstring(whole)  # noqa: S314 - our own
    names = {name.rpartition("}")[2] for name in (element.tag for element in root.iter())}
    assert {"title", "desc", "text", "path"} <= names
    assert "style" not in names
    assert not re.search(r"#[0-9a-f]{6}\b", svg)
    assert "DejaVu" not in svg
    assert len(svg) < 100_000


@pytest.mark.parametrize("jumps", [(0, 40 * 365), (0, -40 * 365, 0, 3), (0, 9000, -9000, 9000)])
def test_years_between_two_runs_take_no_time_to_draw(
    tmp_path: Path, jumps: tuple[int, ...]
) -> None:
    """A job of seconds that is gone on with after years, or whose clock was set (days)."""
    journal = planned(tmp_path / "job", 10)
    with journal.transaction():
        for number, days in enumerate(jumps):
            at = BEGAN + days * 86400.0
            run = begin(journal, at)
            send(journal, [number], lambda _, at=at: at + 1.0)  # type: ignore[misc]
            journal.write("end_run", (at + 2.0, "stopped", run))
    account = read_account(journal)
    assert 1 <= len([*_Time(account).ticks(8)]) < 50
    assert "<svg" in draw(account, WIDE)
    journal.close()


def test_a_file_is_written_once_for_its_owner(tmp_path: Path) -> None:
    """A page that is there is left as it is."""
    journal, out = journals.finished(tmp_path / "j"), tmp_path / "out.html"
    write_report(journal, None, str(out))
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    first = out.read_bytes()
    with pytest.raises(InvalidInput, match="is there already"):
        write_report(journal, None, str(out))
    assert out.read_bytes() == first


@pytest.mark.parametrize("missing", ["jinja2", "matplotlib"])
def test_a_missing_library_is_named_with_what_to_install(missing: str, tmp_path: Path) -> None:
    """The package itself comes without them; importing it does not need them."""
    journal = journals.finished(tmp_path / "j")
    journal.close()
    code = (
        f"import sys; sys.modules[{missing!r}] = None\n"
        "import asyncio\n"
        "from moveworks_shift_async.jobs.job import Job\n"
        "from moveworks_shift_async.jobs.report import page\n"
        "try: page.render_page(asyncio.run(Job(sys.argv[1]).account()))\n"
        "except Exception as error: print(type(error).__name__, error)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, journal.path], capture_output=True, text=True, check=True
    )
    assert run.stdout.startswith(f"ConfigurationError the page needs {missing}, which is not inst")
    assert "-m pip install jinja2 matplotlib" in run.stdout


def test_another_missing_module_is_no_matter_of_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fault of ours stays one."""
    account = read_account(journals.finished(tmp_path / "j"))

    def broken(*_: object) -> None:
        raise ModuleNotFoundError("No module named 'other'", name="other")

    monkeypatch.setattr("moveworks_shift_async.jobs.report.page.draw", broken)
    with pytest.raises(ModuleNotFoundError, match="other"):
        render_page(account)


# --- in a browser ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def browser() -> Iterator[webdriver.Chrome]:
    """A headless Chromium."""
    yield from browsers.started()


def shown(
    browser: webdriver.Chrome, page: Path, *, width: int = 1400, scheme: str = "light",
    media: str = "",
) -> webdriver.Chrome:  # fmt: skip
    """The page in a window of this width, for somebody who prefers this scheme."""
    look_as(browser, width=width, scheme=scheme, media=media)
    browser.get(page.as_uri())
    return browser


@pytest.fixture(scope="module")
def page(account: JobAccount, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of each kind of job, as a file."""
    path = tmp_path_factory.mktemp("page") / "page.html"
    path.write_bytes(render_page(account).encode())
    return path


def asked(browser: webdriver.Chrome) -> list[str]:
    """What it has asked for since the last question, but for what needs no request."""
    events = [json.loads(entry["message"])["message"] for entry in logged(browser, "performance")]
    urls = [
        event["params"]["request"]["url"]
        for event in events
        if event["method"] == "Network.requestWillBeSent"
    ]
    return [url for url in urls if not url.startswith(("data:", "about:"))]


def test_it_loads_with_no_complaint_and_no_request(browser: webdriver.Chrome, page: Path) -> None:
    """The one request is the file itself; the console stays empty."""
    logged(browser, "performance")
    shown(browser, page)
    assert asked(browser) == [page.as_uri()]
    assert logged(browser, "browser") == []


def test_hostile_messages_are_harmless_text(browser: webdriver.Chrome, tmp_path: Path) -> None:
    """No script runs, nothing is asked for, and each stands there as it was written."""
    journal = Journal.create(str(tmp_path / "job"), journals.HEADER)
    count = len(MESSAGES)
    with journal.transaction():
        for n, message in enumerate(MESSAGES.values()):
            journal.add_content(n, Content(event_id=None, message=message))
        journal.add_chunks((n, n, 5, pack(journals.addresses(n, 5))) for n in range(count))
        journal.complete(evolve(journals.HEADER, people=5 * count, chunks=count, texts=count))
    page = tmp_path / "page.html"
    page.write_bytes(render_page(read_account(journal)).encode())
    logged(browser, "performance")
    logged(browser, "browser")
    shown(browser, page)
    texts = [
        pre.get_property("textContent")
        for pre in browser.find_elements("css selector", ".text pre")
    ]
    assert texts == [*MESSAGES.values()]
    assert browser.title == headline(read_account(journal))
    assert asked(browser) == [page.as_uri()]
    assert logged(browser, "browser") == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1400])
def test_every_text_can_be_read(
    browser: webdriver.Chrome, page: Path, width: int, scheme: str
) -> None:
    """In light and dark, narrow and wide: enough contrast, no tiny type, nothing to the side."""
    shown(browser, page, width=width, scheme=scheme)
    found = browser.execute_script(CONTRASTS)
    assert len(found) > 10
    assert [text for ratio, _, text in found if ratio < CONTRAST] == []
    assert [text for _, size, text in found if size < 9.5] == []
    assert browser.execute_script("return document.documentElement.scrollWidth") == width
    background = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    bright = sum(map(int, re.findall(r"\d+", background)[:3])) > 3 * 128
    assert bright == (scheme == "light")


@pytest.mark.parametrize("width", [360, 1400])
def test_one_drawing_is_shown_at_a_time(
    browser: webdriver.Chrome, width: int, tmp_path: Path
) -> None:
    """The one that was drawn for the width, and it fills its place."""
    write_report(journals.finished(tmp_path / "j"), None, str(tmp_path / "page.html"))
    shown(browser, tmp_path / "page.html", width=width)
    sizes = browser.execute_script(
        "return [...document.querySelectorAll('.plot svg')]"
        ".map(drawing => drawing.getBoundingClientRect().width)"
    )
    wide, narrow = sizes
    assert bool(wide) == (width == 1400)
    assert bool(narrow) == (width == 360)
    assert max(sizes) > 0.7 * min(width, 1000)


def printed(browser: webdriver.Chrome) -> bytes:
    """The page as PDF. Chromium's own printing fails now and then on a busy machine."""
    for _ in range(5):
        with contextlib.suppress(WebDriverException):
            return base64.b64decode(browser.execute_cdp_cmd("Page.printToPDF", {})["data"])
    raise AssertionError("Chromium printed nothing five times in a row")


def test_it_prints_light_and_wide(browser: webdriver.Chrome, page: Path) -> None:
    """Also for somebody whose screen is dark, on few sheets."""
    shown(browser, page, width=720, scheme="dark", media="print")
    assert [text for ratio, _, text in browser.execute_script(CONTRASTS) if ratio < CONTRAST] == []
    background = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert background == "rgb(255, 255, 255)"
    shown(browser, page, scheme="dark")
    paper = printed(browser)
    assert paper.startswith(b"%PDF")
    # Four for most; a job with forty kinds of errors takes more.
    assert 1 <= len(re.findall(rb"/Type\s*/Page\b", paper)) <= 12
