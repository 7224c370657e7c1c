"""The page of a preview: some texts as rendered and as source, with whom they are for.

Each is shown in a frame of its own that runs nothing, under a policy that lets nothing be fetched.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from ...markup.render import SANDBOX, document, render
from ...markup.values import CLOSE, LIMIT, MEANINGS, Fault
from ..pages import legible, template
from ..records import Header
from ..store.ports import Audience
from .survey import JobPreview, Sample, findings

#: Its template.
PAGE = "preview/preview.html"
# Addresses that are named of those whom a text is for.
_NAMED = 5
# Characters of a message's source: all of them, for none has more.
_SOURCE = LIMIT
# Findings that are told of one text.
FINDINGS = 20
# Characters of a line in a frame: on a wide screen, and on a narrow one.
_WIDE, _NARROW = 40, 30
# What ends a line, roughly.
_LINES = re.compile(r"<br>|</?(?:p|li|ul)>")
_TAG = re.compile(r"<[^>]*>")


def render_preview(
    preview: JobPreview,
    header: Header,
    samples: Sequence[Sample],
    audiences: Mapping[int, Audience],
) -> str:
    """The page. Raises `ConfigurationError` where the extra `report` is not installed."""
    return template(PAGE).render(
        preview=preview,
        header=header,
        sandbox=SANDBOX,
        close=CLOSE,
        limit=LIMIT,
        kinds=_kinds(preview, samples),
        sections=_sections([_shown(sample, audiences) for sample in samples]),
        shown=len(samples),
        most=FINDINGS,
    )


def _kinds(preview: JobPreview, samples: Sequence[Sample]) -> list[dict[str, Any]]:
    """Each kind of finding: its name, what it means, how many texts, and where one is shown."""
    of_text = {sample.text.number: findings(sample.text) for sample in samples}
    return [
        {
            "name": kind,
            "means": MEANINGS[Fault(kind)],
            "texts": count,
            "at": [
                number
                for number, found in of_text.items()
                if kind in {finding.fault.value for finding in found}
            ][:3],
        }
        for kind, count in preview.findings.items()
    ]


def _sections(shown: Sequence[dict[str, Any]]) -> list[tuple[str, list[dict[str, Any]]]]:
    """Each text in the first section that it belongs to."""
    titles = {
        "found": "With findings", "first": "The first", "longest": "The longest",
        "shortest": "The shortest",
    }  # fmt: skip
    parts: dict[str, list[dict[str, Any]]] = {title: [] for title in titles}
    for text in shown:
        parts["found" if text["findings"] else text["chosen"][0]].append(text)
    return [(titles[name], texts) for name, texts in parts.items() if texts]


def _shown(sample: Sample, audiences: Mapping[int, Audience]) -> dict[str, Any]:
    content, number = sample.text.content, sample.text.number
    rendered = render(content.message, content.context)
    audience = audiences[number]
    named = audience.first[:_NAMED]
    context = content.context
    return {
        "number": number,
        "chosen": sample.chosen,
        "people": audience.people,
        "named": [legible(address) for address in named],
        "unnamed": audience.people - len(named),
        "length": rendered.length,
        "findings": [
            {"kind": finding.fault.value, "what": legible(finding.what), "at": finding.at}
            for finding in findings(sample.text)
        ],
        "document": document(rendered),
        "wide": _height(rendered.html, _WIDE),
        "narrow": _height(rendered.html, _NARROW),
        "source": legible(content.message, _SOURCE),
        "context": (
            None if context is None else legible(json.dumps(context, indent=2, ensure_ascii=False))
        ),
    }


def _height(shown: str, width: int) -> float:
    """How high a frame is, in rem; what does not fit is scrolled to."""
    parts = [_TAG.sub("", part).strip() for part in _LINES.split(shown)]
    lines = shown.count("<br><br>") + sum(-(-len(part) // width) for part in parts)
    blocks = shown.count("<ul>") + shown.count("<p>")
    return min(max(1.75 + 1.5 * lines + blocks, 4.5), 28.0)
