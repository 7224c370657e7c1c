"""The sandbox's page in Chromium, which is live while messages come in over real sockets."""

from __future__ import annotations

import contextlib
import json
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement

from moveworks_shift_async.markup import sanitizer
from moveworks_shift_async.testing.running import RunningSandbox, SandboxThread

from . import browsers
from .browsers import CONTRAST, CONTRASTS, logged, look_as
from .hostile import HOSTILE

ANN, BOB = "ann@example.com", "bob@example.com"
EVENT = "7d9f7a54-3f9e-4c37-8a57-3b1a8f0f6a21"
OTHER_EVENT = "15d8db87-9a06-4d5d-8e22-0b4e6c6c30a7"


@pytest.fixture(scope="module")
def browser() -> Iterator[webdriver.Chrome]:
    """A headless Chromium."""
    yield from browsers.started()


@pytest.fixture(scope="module")
def thread() -> Iterator[SandboxThread]:
    """Where the sandboxes serve while a test waits for the browser."""
    with SandboxThread() as thread:
        yield thread


@pytest.fixture
def sandbox(thread: SandboxThread) -> Iterator[RunningSandbox]:
    """A sandbox that knows every event."""
    with thread.sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def page(browser: webdriver.Chrome, sandbox: RunningSandbox) -> Iterator[webdriver.Chrome]:
    """Its page, opened; at the end the console must be empty and nobody else be asked."""
    logged(browser, "performance")
    logged(browser, "browser")
    look_as(browser, width=1280, scheme="light")
    browser.get(sandbox.url)
    yield browser
    browser.switch_to.default_content()
    browser.get("about:blank")
    assert [entry for entry in logged(browser, "browser") if "favicon" not in str(entry)] == []
    assert [url for url in asked(browser) if not url.startswith((sandbox.url, "data:"))] == []


def asked(browser: webdriver.Chrome) -> list[str]:
    """What the browser has asked for."""
    events = [json.loads(entry["message"])["message"] for entry in logged(browser, "performance")]
    return [
        event["params"]["request"]["url"]
        for event in events
        if event["method"] == "Network.requestWillBeSent"
        and event["params"]["request"]["url"] != "about:blank"
    ]


def send(
    sandbox: RunningSandbox, text: str, *to: str, event: str | None = EVENT, **more: Any
) -> None:
    """Send a message, whatever becomes of it."""
    path = f"/rest/v1/events/{event}/messages/send" if event else "/rest/v1/messages/send"
    body = json.dumps({"message": text, "recipients": to or (ANN,)} | more).encode()
    request = urllib.request.Request(sandbox.url + path, body)  # noqa: S310 - our own
    request.add_header("Authorization", f"Bearer {sandbox.api_key.key}")
    with contextlib.suppress(OSError), urllib.request.urlopen(request):  # noqa: S310 - our own
        pass


def until(holds: Callable[[], object]) -> None:
    """Wait for what the page does, however long it takes."""
    while True:
        with contextlib.suppress(StaleElementReferenceException):
            if holds():
                return
        time.sleep(0.02)


def seen(page: webdriver.Chrome, selector: str = "body") -> str:
    """What a reader sees there, as one line."""
    return " ".join(page.find_element(By.CSS_SELECTOR, selector).text.split())


def rows(page: webdriver.Chrome) -> list[str]:
    """Each row of the messages."""
    script = "return [...document.querySelectorAll('#rows tr')].map(row => row.innerText)"
    return [" ".join(text.split()[1:]) for text in page.execute_script(script)]


def until_rows(page: webdriver.Chrome, count: int) -> None:
    """Wait until there are so many rows."""
    until(lambda: len(rows(page)) == count)


def until_shown(page: webdriver.Chrome, row: int, words: str) -> None:
    """Wait until a row begins with these words."""
    until(lambda: rows(page)[row].startswith(f"{words} "))


def until_seen(page: webdriver.Chrome, words: str) -> None:
    """Wait until a reader sees these words."""
    until(lambda: words in seen(page))


def until_hidden(element: WebElement) -> None:
    """Wait until a reader sees it no more."""
    until(lambda: not element.is_displayed())


def at(page: webdriver.Chrome, place: str) -> None:
    """Go to a place of the page."""
    page.execute_script("location.hash = arguments[0]", place)


@contextlib.contextmanager
def frame(page: webdriver.Chrome, name: str) -> Iterator[None]:
    """In one of the page's frames."""
    until(lambda: page.find_element(By.ID, name).is_displayed())
    page.switch_to.frame(name)
    try:
        yield
    finally:
        page.switch_to.default_content()


def test_an_empty_inbox_says_what_it_is_for(page: webdriver.Chrome) -> None:
    """And that it is live."""
    until(lambda: seen(page, "#live") == "live")
    until(lambda: "No message yet. What is sent to this sandbox appears here." in seen(page))
    assert seen(page, "#limit-words") == "0 of 120 in 60 s"
    at(page, "#people")
    until(lambda: "Type an address" in seen(page, "#person-words"))


def test_messages_appear_as_they_come(page: webdriver.Chrome, sandbox: RunningSandbox) -> None:
    """The newest first: first words, event, people, and what the server did."""
    until(lambda: seen(page, "#live") == "live")
    send(sandbox, "<b>Closed</b> on<br>Friday", ANN, BOB)
    sandbox.faults.script("send", "forbidden", "processed-then-reset")
    send(sandbox, "Nobody gets this", event=None)
    send(sandbox, "Hello {{name}}", *(f"p{n}@example.com" for n in range(500)))
    send(sandbox, "x" * 20_001)
    until(
        lambda: (
            rows(page)
            == [
                "x" * 160 + "… 7d9f7a54 1 ✕ refused 400",
                "Hello {{name}} 7d9f7a54 500 ✓ told processed-then-reset",
                "Nobody gets this none 1 ⚡ fault forbidden",
                "Closed on Friday 7d9f7a54 2 ✓ told",
            ]
        )
    )
    until(lambda: seen(page, ".numbers") == "Requests 4 Deliveries 502 Told the same twice 0")


def test_a_message_is_shown_as_people_see_it(
    page: webdriver.Chrome, sandbox: RunningSandbox
) -> None:
    """With its slots marked, its characters counted, and what no document of the vendor knows."""
    text = "<b>Hello</b> {{name}}, <u>now</u>"
    context = {"slots": {"name": "Ann"}}
    send(sandbox, text, *(f"p{n}@example.com" for n in range(30)), context=context)
    at(page, "#messages?number=1")
    with frame(page, "detail-frame"):
        until(lambda: "Hello {{name}}, <u>now</u>" in seen(page))
        assert [one.text for one in page.find_elements(By.TAG_NAME, "b")] == ["Hello"]
        assert [one.text for one in page.find_elements(By.TAG_NAME, "mark")] == ["{{name}}"]
        assert "<u> is no tag in the vendor's samples" in seen(page)
        assert f"Source: {len(text)} of 20,000 characters" in seen(page)
        page.find_element(By.TAG_NAME, "summary").click()
        until(lambda: seen(page, "pre") == text)
    assert "30 people told, answer 200" in seen(page, "#detail-words")
    assert len(page.find_elements(By.CSS_SELECTOR, "#detail-people li")) == 20
    page.find_element(By.ID, "detail-all").click()
    assert len(page.find_elements(By.CSS_SELECTOR, "#detail-people li")) == 30
    page.find_element(By.LINK_TEXT, "p7@example.com").click()
    until(lambda: seen(page, "#person-words") == "Told once.")


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_message_is_harmless_text(
    page: webdriver.Chrome, sandbox: RunningSandbox, name: str
) -> None:
    """In the row, in full, in a person's thread and by itself: nothing runs, nobody is asked."""
    send(sandbox, HOSTILE[name], context={"slots": {HOSTILE[name]: HOSTILE[name]}})
    until(lambda: len(rows(page)) == 1)
    for place, within in (
        ("#messages?number=1", "detail-frame"),
        (f"#people?address={ANN}", "person-frame"),
    ):
        at(page, place)
        with frame(page, within):
            until(lambda: page.find_elements(By.CSS_SELECTOR, ".bubble"))
            for element in page.find_elements(By.CSS_SELECTOR, "main *"):
                allowed = "h2 article span bdi div footer time ul li p b i strong a br mark code"
                assert element.tag_name in f"{allowed} details summary pre".split()
                href = element.get_attribute("href") or "https://x/"
                assert href.startswith(("https://", "http://"))
                assert "hostile.example" not in href or name != "javascript links"
        assert page.title == "Sandbox inbox"
    page.get(f"{sandbox.url}/_sandbox/inbox/message/1")
    assert page.title == "Message"


def test_who_was_told_the_same_twice_is_marked(
    page: webdriver.Chrome, sandbox: RunningSandbox
) -> None:
    """In the numbers, among a message's people, in her thread; another text is no repetition."""
    for text, to in (("Hi", (ANN, BOB)), ("Bye", (ANN,)), ("Hi", (ANN, "eve@example.com"))):
        send(sandbox, text, *to)
    until(lambda: "Told the same twice 1" in seen(page, ".numbers"))
    at(page, "#messages?number=3")
    until(lambda: seen(page, "#detail-people-name") == "2 people, 1 told the same before")
    assert seen(page, "#detail-people") == f"{ANN} told the same in message 1 eve@example.com"
    at(page, f"#people?address={ANN}")
    until(lambda: "Told 3 times. Told the same again: 1" in seen(page, "#person-words"))
    with frame(page, "person-frame"):
        until(lambda: len(page.find_elements(By.TAG_NAME, "article")) == 3)
        shown = [" ".join(one.text.split()) for one in page.find_elements(By.TAG_NAME, "article")]
        assert ["told the same again" in text for text in shown] == [False, False, True]
        assert [text.split()[1] for text in shown] == ["Hi", "Bye", "Hi"]
    send(sandbox, "Hi", ANN)
    until(lambda: "Told 4 times. Told the same again: 2" in seen(page, "#person-words"))
    page.find_element(By.ID, "person").send_keys(Keys.CONTROL, "a")
    page.find_element(By.ID, "person").send_keys("Nobody@example.com", Keys.ENTER)
    until(lambda: seen(page, "#person-words") == "Was told nothing.")


def test_what_is_forgotten_is_not_shown_in_the_place_of_what_comes(
    page: webdriver.Chrome, sandbox: RunningSandbox
) -> None:
    """Numbers begin anew, in the next run of somebody's tests, while the page stays open."""
    text = "return document.querySelector('.bubble')?.innerText"
    for place, within in (("#messages?number=1", "detail"), (f"#people?address={ANN}", "person")):
        send(sandbox, "Old")
        at(page, place)
        with frame(page, f"{within}-frame"):
            until(lambda: page.execute_script(text) == "Old")
        sandbox.do(lambda server: server.forget())
        send(sandbox, "New")
        with frame(page, f"{within}-frame"):
            until(lambda: page.execute_script(text) == "New")
        sandbox.do(lambda server: server.reset())
        shown = page.find_element(By.ID, f"{within}-frame")
        until_hidden(shown)


def test_a_message_that_is_not_there_is_said(
    page: webdriver.Chrome, sandbox: RunningSandbox
) -> None:
    """Dropped meanwhile, or never sent: not the one that was shown before."""
    for text in ("First", "Second"):
        send(sandbox, text)
    sandbox.do(lambda server: server._app.ledger._forget(server._app.ledger._entries.popleft()))
    at(page, "#messages?number=2")
    until(lambda: page.find_element(By.ID, "detail-frame").is_displayed())
    at(page, "#messages?number=1")
    until(lambda: seen(page, "#detail-words") == "no such message")
    assert not page.find_element(By.ID, "detail-frame").is_displayed()
    logged(page, "browser")  # Chromium's own word about the 404


@pytest.mark.parametrize(
    ("place", "shown"),
    [
        ("#constructor", "Hello"),
        ("#messages?number=1e400", "Hello"),
        ("#messages?before=-5", "Hello"),
        (f"#people?address={ANN}&before=1e400", "Told once."),
    ],
)
def test_an_odd_place_of_the_page_is_the_nearest_good_one(
    page: webdriver.Chrome, sandbox: RunningSandbox, place: str, shown: str
) -> None:
    """It may come from anywhere, and the console stays empty."""
    send(sandbox, "Hello")
    page.get("about:blank")
    page.get(f"{sandbox.url}/{place}")
    until_seen(page, shown)
    until(lambda: seen(page, "#live") == "live")
    assert not page.find_element(By.ID, "detail").is_displayed()


def test_without_scripts_the_page_says_where_else_to_look(
    page: webdriver.Chrome, sandbox: RunningSandbox
) -> None:
    """It is nothing but files of its own, which such a browser does not run."""
    page.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        page.get(sandbox.url)
        until_seen(page, "This page needs JavaScript. What it shows is also at /_sandbox/api/")
    finally:
        page.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def test_messages_are_looked_for_and_paged(page: webdriver.Chrome, sandbox: RunningSandbox) -> None:
    """By text, person and event; fifty a page; newer ones that come meanwhile are counted."""
    for number in range(110):
        send(sandbox, f"Text {number}", f"p{number % 55}@example.com",
             event=OTHER_EVENT if number == 60 else EVENT)  # fmt: skip
    until(lambda: rows(page)[:1] == ["Text 109 7d9f7a54 1 ✓ told"])
    assert len(rows(page)) == 50
    for first in ("Text 59", "Text 9"):
        page.find_element(By.ID, "older").click()
        until_shown(page, 0, first)
    assert len(rows(page)) == 10
    assert not page.find_element(By.ID, "older").is_enabled()
    send(sandbox, "One more")
    until(lambda: seen(page, "#page-words") == "Requests 1 to 10, 1 newer")
    page.find_element(By.ID, "newer").click()
    until(lambda: rows(page)[0].startswith("One more"))
    for field, words, found in (
        ("text", "text 10", 11),
        ("to", "P7@example.com", 2),
        ("event", OTHER_EVENT, 1),
    ):
        box = page.find_element(By.ID, f"search-{field}")
        box.send_keys(words, Keys.ENTER)
        until_rows(page, found)
        box.send_keys(Keys.CONTROL, "a")
        box.send_keys(Keys.DELETE, Keys.ENTER)
        until(lambda: len(rows(page)) == 50)
    at(page, "#messages?text=nothing+of+this+kind")
    until(lambda: "No message is like this." in seen(page))


def test_faults_are_switched_on_and_off(page: webdriver.Chrome, sandbox: RunningSandbox) -> None:
    """For the next messages, or a share of them; what is on is said, and how it ends."""
    page.find_element(By.ID, "faults-button").click()
    kind = page.find_element(By.ID, "fault-kind")
    until(lambda: kind.get_attribute("value") == "processed-then-reset")
    assert "is processed; the connection is reset" in seen(page, "#fault-sentence")
    page.find_element(By.CSS_SELECTOR, "#fault-form button").click()
    until(lambda: seen(page, "#faults-button") == "Faults: 1")
    kind.send_keys("forbidden")
    until(lambda: seen(page, "#fault-sentence").endswith("the answer is 403."))
    page.find_element(By.ID, "fault-how").send_keys("a share")
    number = page.find_element(By.ID, "fault-number")
    number.send_keys(Keys.CONTROL, "a")
    number.send_keys("100", Keys.ENTER)
    until(lambda: seen(page, "#faults-button") == "Faults: 2")
    assert "forbidden for 100 % (send)" in seen(page, "#faults-on")
    for _ in range(2):
        send(sandbox, "Hello")
    until(lambda: len(rows(page)) == 2)
    until(lambda: [row.split()[-1] for row in rows(page)] == ["forbidden", "processed-then-reset"])
    until(lambda: seen(page, "#faults-button") == "Faults: 1")
    page.find_element(By.CSS_SELECTOR, "#faults-on button").click()
    until(lambda: seen(page, "#faults-button") == "Faults")
    assert sandbox.do(lambda server: server.faults.pending())["script"] == {}
    send(sandbox, "All is well")
    until(lambda: rows(page)[0].endswith("told"))


def test_the_limit_is_drawn_live(browser: webdriver.Chrome, thread: SandboxThread) -> None:
    """Requests in the window against the limit, and 429s, while they happen."""
    with thread.sandbox(requests=3, per=3600.0) as sandbox:
        browser.get(sandbox.url)
        until(lambda: seen(browser, "#limit-words") == "0 of 3 in 3600 s")
        for _ in range(5):
            send(sandbox, "Hello")
        until(lambda: seen(browser, "#limit-words") == "3 of 3 in 3600 s")
        until(lambda: seen(browser, "#refused-words") == "429: 2")
        assert browser.find_element(By.ID, "gauge").get_attribute("value") == "3"
        until(lambda: browser.find_element(By.ID, "history-line").get_attribute("d"))
        until(lambda: rows(browser)[0].endswith("refused 429"))
        browser.get("about:blank")


def test_records_that_were_dropped_are_said(
    browser: webdriver.Chrome, thread: SandboxThread
) -> None:
    """How many, and that a search may miss them."""
    with thread.sandbox() as sandbox:
        sandbox.do(lambda server: setattr(server._app.ledger, "keep", 3000))
        for number in range(9):
            send(sandbox, f"Hello {number}")
        browser.get(sandbox.url)
        dropped = sandbox.received().forgotten
        assert dropped
        until(lambda: f"{dropped} oldest requests were dropped" in seen(browser, "#dropped"))
        at(browser, "#people?address=zoe@example.com")
        until(lambda: f"the {dropped} oldest requests apart" in seen(browser, "#person-words"))
        browser.get("about:blank")


def test_everything_is_forgotten_when_asked(
    page: webdriver.Chrome, sandbox: RunningSandbox
) -> None:
    """After a question; the page is then as at the start."""
    send(sandbox, "Hello")
    until(lambda: len(rows(page)) == 1)
    page.find_element(By.ID, "forget").click()
    page.switch_to.alert.accept()
    until(lambda: "No message yet." in seen(page))
    assert not sandbox.received().requests
    send(sandbox, "Hello again")
    until(lambda: rows(page) == ["Hello again 7d9f7a54 1 ✓ told"])


def focused(page: webdriver.Chrome) -> str:
    """What a key would go to."""
    return str(page.execute_script("const a = document.activeElement; return a.id || a.innerText"))


def press(page: webdriver.Chrome, *keys: str) -> None:
    """Press these where the focus is."""
    for key in keys:
        page.switch_to.active_element.send_keys(key)


def test_it_can_be_used_without_a_mouse(page: webdriver.Chrome, sandbox: RunningSandbox) -> None:
    """Rows by arrows, one in full by Enter, back by Escape to where one was; a slash searches."""
    for number in range(3):
        send(sandbox, f"Text {number}")
    until(lambda: len(rows(page)) == 3)
    press(page, "/")
    assert focused(page) == "search-text"
    press(page, *[Keys.TAB] * 4)
    assert focused(page) == "Text 2"
    press(page, Keys.ARROW_DOWN)
    assert focused(page) == "Text 1"
    send(sandbox, "Text 3")
    until(lambda: len(rows(page)) == 4)
    assert focused(page) == "Text 1"
    press(page, Keys.ENTER)
    until(lambda: focused(page) == "detail")
    until(lambda: seen(page, "#detail-name") == "Message 2")
    press(page, Keys.ESCAPE)
    until(lambda: focused(page) == "Text 1")
    assert not page.find_element(By.ID, "detail").is_displayed()


def test_everything_has_a_name_for_who_cannot_see_it(
    page: webdriver.Chrome, sandbox: RunningSandbox
) -> None:
    """Fields, buttons, links, frames, tables and the gauge, as Chromium's own tree has them."""
    send(sandbox, "Hello")
    page.find_element(By.ID, "faults-button").click()
    for place in ("#messages?number=1", f"#people?address={ANN}"):
        at(page, place)
        until(lambda: "Hello" in seen(page) or "Told once" in seen(page))
        tree = page.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
        named = {
            (node["role"]["value"], bool(node.get("name", {}).get("value")))
            for node in tree
            if not node["ignored"]
        }
        roles = {"button", "link", "searchbox", "combobox", "spinbutton", "table", "meter",
                 "columnheader", "Iframe", "search", "navigation", "heading", "row"}  # fmt: skip
        assert {role for role, has_name in named if role in roles and not has_name} <= {"row"}
        assert {"meter", "searchbox", "Iframe"} <= {role for role, has_name in named if has_name}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 390, 1280, 1400])
def test_every_text_can_be_read(
    page: webdriver.Chrome, sandbox: RunningSandbox, width: int, scheme: str
) -> None:
    """In light and dark, narrow and wide: enough contrast, no tiny type, nothing to the side."""
    sandbox.faults.script(
        "send", "none", "none", "server-503-html", "forbidden", "reset-before-body"
    )
    long = "<b>Look</b> {{name}} <u>here</u> https://example.com/" + "x" * 300
    for text in ("Hello", long, "Hello", "Hello", "Hello"):
        send(sandbox, text, ANN, "somebody.with.a.long.name." + "x" * 30 + "@example.com")
    look_as(page, width=width, scheme=scheme)
    page.find_element(By.ID, "faults-button").click()
    for place, words in (
        ("#messages", "reset-before-body"),
        ("#messages?number=2", "Message 2"),
        (f"#people?address={ANN}", "Told 2 times"),
    ):
        at(page, place)
        until_seen(page, words)
        found = page.execute_script(CONTRASTS)
        assert len(found) > 10
        assert [text for ratio, _, text in found if ratio < CONTRAST] == []
        assert [text for _, size, text in found if size < 11] == []
        assert page.execute_script("return document.documentElement.scrollWidth") == width
    for path in ("message/2", f"person/{ANN}"):
        page.get(f"{sandbox.url}/_sandbox/inbox/{path}")
        found = page.execute_script(CONTRASTS)
        assert [text for ratio, _, text in found if ratio < CONTRAST] == []
        assert page.execute_script("return document.documentElement.scrollWidth") == width


def answer(sandbox: RunningSandbox, path: str) -> tuple[int, Any]:
    """Status and headers of one of the page's addresses."""
    try:
        with urllib.request.urlopen(sandbox.url + path) as found:  # noqa: S310 - our own
            return found.status, found.headers
    except urllib.error.HTTPError as error:
        return error.code, error.headers


def test_what_is_served_tells_the_browser_to_let_nothing_in(sandbox: RunningSandbox) -> None:
    """The page runs its own files alone; a frame runs nothing and has no origin."""
    status, headers = answer(sandbox, "/")
    assert status == 200
    assert "script-src 'self'" in headers["Content-Security-Policy"]
    assert "unsafe" not in headers["Content-Security-Policy"]
    send(sandbox, "Hello")
    for path, expected in (
        ("message/1", 200),
        ("message/7", 404),
        ("message/x", 404),
        (f"message/{'9' * 5000}", 404),
        (f"person/{ANN}?before=x", 200),
        (f"person/{ANN}?before={'9' * 5000}", 200),
        ("nothing", 404),
    ):
        status, headers = answer(sandbox, f"/_sandbox/inbox/{path}")
        policy = headers["Content-Security-Policy"].split("; ")
        assert status == expected
        assert {"default-src 'none'", "script-src 'none'", "frame-ancestors 'self'"} < {*policy}
        assert any(rule.startswith("sandbox ") and "script" not in rule for rule in policy)
    assert [record.route for record in sandbox.received().requests] == ["events.send"]


def test_what_is_not_of_moveworks_is_shown_too(
    page: webdriver.Chrome, sandbox: RunningSandbox
) -> None:
    """A message of SHIFT as plain text; one whose request was not read, as far as it is known."""
    app = sandbox.shift_credentials
    query = f"?client_id={app.client_id}&client_secret={app.client_secret}"
    body = json.dumps({"text": "<b>Hi</b>", "addressed_users": {"emails": [ANN]}}).encode()
    urllib.request.urlopen(f"{sandbox.url}/v1/messages{query}", body).close()  # noqa: S310
    sandbox.faults.script("send", "reset-before-body")
    send(sandbox, "Hello")
    until_rows(page, 2)
    assert rows(page)[0].split("7d9f7a54")[0] == "(not read) "
    assert rows(page)[0].endswith("⚡ fault reset-before-body")
    assert rows(page)[1] == "Hi SHIFT 1 ✓ told"
    for number, words in ((1, "S <b>Hi</b>"), (2, "Nothing of the text is known")):
        at(page, f"#messages?number={number}")
        with frame(page, "detail-frame"):
            until_seen(page, words)
    assert seen(page, "#detail-people-name") == "Nobody was told"


@pytest.mark.parametrize("path", ["message/1", f"person/{ANN}"])
def test_without_nh3_the_text_is_shown_as_it_is(
    sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    """And what to install is said."""
    monkeypatch.setitem(sys.modules, "nh3", None)
    sanitizer._cleaner.cache_clear()
    send(sandbox, "<b>Hello</b>")
    with urllib.request.urlopen(f"{sandbox.url}/_sandbox/inbox/{path}") as found:  # noqa: S310
        text = found.read().decode()
    assert "&lt;b&gt;Hello&lt;/b&gt;" in text
    assert "nh3" in text
