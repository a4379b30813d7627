"""Faults of the stand-in: of the next messages of a client, of its connection, and of what is sent to it."""

from dataclasses import dataclass, field

PLACE_ORDER, CANCEL_ORDER = 3, 4
MESSAGE_FAULTS = ("cut_before", "cut_after", "drop", "mute", "reject", "pace", "refuse")


@dataclass
class MessageFault:
    """A fault of the next `times` messages of the type `message`.

    `cut_before` and `cut_after` cut the connection before or after the message is carried out. `drop` ignores
    it. `mute` carries it out without any answer. `reject` rejects the order with `text`. `refuse` answers
    with the error `code`. `pace` answers that too many messages were sent. The first `skipped` messages pass.
    """

    kind: str
    message: int = PLACE_ORDER
    times: int = 1
    text: str = ""
    code: int = 201
    skipped: int = 0


@dataclass
class Faults:
    """All faults. `copies` is how often each message is sent; `is_held` keeps messages back until it ends."""

    messages: list[MessageFault] = field(default_factory=list)
    copies: int = 1
    is_held: bool = False
    refuses_connections: bool = False

    def add(
        self,
        kind: str,
        message: int = PLACE_ORDER,
        times: int = 1,
        text: str = "",
        code: int = 201,
        skipped: int = 0,
    ) -> None:
        assert kind in MESSAGE_FAULTS
        self.messages.append(MessageFault(kind, message, times, text, code, skipped))

    def take(self, message: int) -> MessageFault | None:
        """Return the fault of a message, and count it."""
        for fault in self.messages:
            if fault.message == message and fault.skipped > 0:
                fault.skipped -= 1
            elif fault.message == message and fault.times > 0:
                fault.times -= 1
                return fault
        return None

    def clear(self) -> None:
        self.messages.clear()
        self.copies, self.is_held, self.refuses_connections = 1, False, False
