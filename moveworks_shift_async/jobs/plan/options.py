"""What the caller of a plan wants, checked before anything is touched. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from attrs import field, frozen

from ...settings import RateLimit
from ...wire.moveworks import Content, send_path
from ..schedule.schedule import Schedule
from .template import Template


@frozen(kw_only=True)
class PlanOptions:
    """What is to be planned, checked before anything is touched."""

    #: What everybody is told; with a template, only the event id counts.
    content: Content = field(repr=False)
    template: Template | None = None
    invalid_csv: str | None = None
    #: An entry that is no address ends the plan.
    strict: bool = False
    #: What the plan counts with.
    rate_limit: RateLimit = field(factory=RateLimit)
    #: When the job may send.
    schedule: Schedule = field(factory=Schedule)

    @classmethod
    def of(
        cls, content: Content, *, template: bool = False, escape: bool = True, **others: Any
    ) -> PlanOptions:
        """Raises `InvalidInput` for what the vendor would refuse."""
        if not template:
            content.check()
            return cls(content=content, **others)
        send_path(content.event_id)  # raises for one that is no UUID
        parsed = Template.parse(content.message, content.context, escape=escape)
        if parsed.columns:
            return cls(content=content, template=parsed, **others)
        message, context = parsed.render(())
        plain = Content(event_id=content.event_id, message=message, context=context)
        return cls.of(plain, **others)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that it needs beside the addresses."""
        return () if self.template is None else self.template.columns

    def check(self, columns: Sequence[str]) -> None:
        """Raise `InvalidInput` for a column that the source does not have."""
        if self.template is not None:
            self.template.check(columns)
