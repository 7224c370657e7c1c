"""Headless Chromium for the tests of pages: Debian's own, driven by its own driver."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from selenium import webdriver

BROWSER, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
#: What WCAG 2 asks of text, level AA.
CONTRAST = 4.5
#: Every text that is shown, with the contrast of its colour to what is painted beneath it.
CONTRASTS = """
const parts = color => color.match(/[\\d.]+/g).map(Number);
const light = color => {
  const [r, g, b] = parts(color).slice(0, 3).map(v => v / 255)
    .map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4);
  return .2126 * r + .7152 * g + .0722 * b;
};
const beneath = node => {
  for (; node; node = node.parentElement) {
    const color = getComputedStyle(node).backgroundColor;
    const [, , , alpha = 1] = parts(color);
    if (alpha > 0) return color;
  }
  return 'rgb(255, 255, 255)';
};
document.querySelectorAll('details').forEach(node => { node.open = true; });
const found = [], walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walker.nextNode()) {
  const node = walker.currentNode.parentElement, style = getComputedStyle(node);
  if (!walker.currentNode.data.trim() || !node.getClientRects().length) continue;
  if (['STYLE', 'title', 'desc'].includes(node.nodeName)) continue;
  const svg = node instanceof SVGElement;
  const pair = [light(svg ? style.fill : style.color), light(beneath(node))];
  const ratio = (Math.max(...pair) + .05) / (Math.min(...pair) + .05);
  const size = parseFloat(style.fontSize) * (svg ? node.getScreenCTM().a : 1);
  found.push([ratio, size, walker.currentNode.data.trim()]);
}
return found;
"""


def started() -> Iterator[webdriver.Chrome]:
    """A browser that keeps a record of its requests and complaints, for a fixture."""
    if (BROWSER is None or DRIVER is None) and not os.environ.get("CI"):
        pytest.skip("needs Debian's packages chromium and chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER or ""
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-dev-shm-usage",
        "--hide-scrollbars",
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


def look_as(browser: webdriver.Chrome, *, width: int, scheme: str, media: str = "") -> None:
    """Show what follows in a window of this width, to somebody who prefers this scheme."""
    preference = {"name": "prefers-color-scheme", "value": scheme}
    browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"media": media, "features": [preference]}
    )
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False},
    )


def logged(browser: webdriver.Chrome, kind: str) -> list[dict[str, Any]]:
    """What the browser has put down since the last question."""
    entries: list[dict[str, Any]] = browser.get_log(kind)  # type: ignore[no-untyped-call]
    return entries
