"""The options that say what is sent and to whom; `send` and `plan` share them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from attrs import field, frozen

from ..errors import InvalidInput
from .input_files import read_object, read_text
from .shared_options import Decorator, option, options, picked

#: Who is not to be told.
exclude_options: Decorator = options(
    option("--exclude", metavar="LIST", multiple=True,
           help="People who are not to be told: a file like --recipients, or another job, of which"
                " it is whom that job told or may have told; JOURNAL:rejected,not_sent names"
                " others. May be given several times."),
    option("--exclude-column", metavar="NAME",
           help="The column of the addresses in --exclude, where it is not clear."),
    option("--exclude-encoding", metavar="NAME", help="As --encoding, for --exclude."),
)  # fmt: skip


#: What is sent, and to whom.
message_options: Decorator = options(
    option("--event", metavar="ID", help="The event to send for, a UUID."),
    option("--legacy", is_flag=True, help="Send without an event: the legacy endpoint."),
    option("--message", metavar="TEXT", help="The message, 1 to 20000 characters."),
    option("--message-file", metavar="FILE", help="A UTF-8 file that holds the message."),
    option("--context-file", metavar="FILE", help='A JSON object like {"slots": {...}}.'),
    option("--recipients", metavar="FILE", show_envvar=True,
           help="CSV, JSON, Excel, Parquet, text; - is stdin."),
    option("--column", metavar="NAME",
           help="The column of the addresses, where it is not clear."),
    option("--encoding", metavar="NAME",
           help="The encoding of a text file that is not UTF-8, like cp1252."),
    exclude_options,
    option("--strict", is_flag=True,
           help="End with 3 before anything is sent if a row is no address, in --exclude as well."
                " Without it such rows are named and left out."),
)  # fmt: skip


#: A text for each person, and people from a database.
template_options: Decorator = options(
    option("--template", metavar="TEXT",
           help="Instead of a message: one that names columns, like 'Hello {first_name}'."),
    option("--template-file", metavar="FILE", help="A UTF-8 file that holds the template."),
    option("--no-escape", is_flag=True,
           help="Put values into a template as they are: HTML and {{slots}} in them count."),
    option("--query", metavar="SQL",
           help="The query for --recipients, which then is a database's SQLAlchemy URL. Every"
                " user of the machine sees a password in an option; put such a URL into"
                " MOVEWORKS_SHIFT_PLAN_RECIPIENTS."),
    option("--exclude-query", metavar="SQL",
           help="As --query, where --exclude is a database's URL."),
    option("--invalid-file", metavar="FILE",
           help="Write all invalid rows to a new CSV file."),
)  # fmt: skip


# The options of which one gives the text.
_TEXTS = ("message", "message_file", "template", "template_file")


@frozen(kw_only=True)
class MessageOptions:
    """What is sent, as the options give it; a template is one text with columns in it."""

    #: The command's options for the text.
    sources: tuple[str, ...]

    event: str | None
    legacy: bool
    message: str | None = field(repr=False)
    message_file: str | None
    context_file: str | None
    template: str | None = field(default=None, repr=False)
    template_file: str | None = None

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> MessageOptions:
        """From the options of a command that has them."""
        sources = (f"--{name.replace('_', '-')}" for name in _TEXTS if name in given)
        return picked(cls, given, sources=tuple(sources))

    def __attrs_post_init__(self) -> None:
        if (self.event is None) != self.legacy:
            raise InvalidInput("give one of --event and --legacy")
        if sum(getattr(self, name) is not None for name in _TEXTS) != 1:
            *first, last = self.sources
            raise InvalidInput(f"give one of {', '.join(first)} and {last}")

    @property
    def templated(self) -> bool:
        """Whether the text names columns."""
        return self.message is None and self.message_file is None

    @cached_property
    def text(self) -> str:
        """The message, or the template. Read once, for it may be standard input."""
        file = self.message_file or self.template_file
        return read_text(file) if file is not None else self.message or self.template or ""

    @cached_property
    def context(self) -> Mapping[str, Any] | None:
        """The context, if there is one."""
        return None if self.context_file is None else read_object(self.context_file)
