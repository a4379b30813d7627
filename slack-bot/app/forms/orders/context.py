"""State of an order form, stored in Slack's `private_metadata`."""

from dataclasses import dataclass, replace
from typing import Any, Self

from app.forms.context import FormContext, count_of
from app.forms.orders import fields

MAX_HIDDEN_CHARACTERS = 100  # of one entry


@dataclass(frozen=True)
class OrderContext(FormContext):
    """The channel of the command and the state of its order form.

    `replaces`: the id of the order that the form changes, empty for a new order.
    `revision`: how often the bot has filled in entries.
    `hidden`: entries that the form may not show, as (entry, text): entries of other types, which return with
    their type, and the fixed terms of an order that is changed.
    `typed_in`: the channel of the command of a private order, whose `channel` is empty.
    """

    replaces: str = ""
    revision: int = 0
    hidden: tuple[tuple[str, str], ...] = ()
    typed_in: str = ""

    @property
    def trading_channel(self) -> str:
        """The channel in which the tenant must allow trading. Empty for a form of the home tab."""
        return self.channel or self.typed_in

    def with_next_revision(self) -> Self:
        """Return the context for a form in which the bot fills in entries."""
        return replace(self, revision=self.revision + 1)

    def _list_values(self) -> dict[str, Any]:  # type: ignore[explicit-override] # typing has it from 3.12
        order = {"typed_in": self.typed_in, "replaces": self.replaces, "revision": self.revision}
        order |= {"hidden": dict(self.hidden)}
        return super()._list_values() | {name: value for name, value in order.items() if value}

    @classmethod
    def _parse_values(cls, values: dict[str, Any]) -> Self:  # type: ignore[explicit-override] # typing has it from 3.12
        hidden = values.get("hidden")
        texts = hidden.items() if isinstance(hidden, dict) else ()
        parsed = super()._parse_values(values)
        return replace(
            parsed,
            typed_in=str(values.get("typed_in", "")),
            replaces=str(values.get("replaces", "")),
            revision=count_of(values.get("revision")),
            hidden=tuple(
                (name, str(text)[:MAX_HIDDEN_CHARACTERS]) for name, text in texts if name in fields.LABELS
            ),
        )
