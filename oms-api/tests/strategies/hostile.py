"""A strategy that misbehaves at its first bar, in the way that its parameter names."""

import os
import sys
from contextlib import suppress

from typing_extensions import override

from slackoms_strategy import Side, Strategy, TextParameter


def loop(context, bar):
    while True:
        pass


def resist(context, bar):
    """Loop, and catch the interruptions of the watchdog."""
    while True:
        with suppress(BaseException):
            loop(context, bar)


def leak(context, bar):
    chunks = []
    while True:
        chunks.append(bytearray(10_000_000))


def flood(context, bar):
    for _ in range(1_100):
        context.order(bar.symbol, Side.BUY, 1)


def fail(context, bar):
    raise ValueError("no more bars")


def leave(context, bar):
    os._exit(0)


def write(content):
    for descriptor in range(3, 10):
        with suppress(OSError):
            os.write(descriptor, content)


def send_junk(context, bar):
    write(b"\x80\x04" * 4096)


def print_without_end(context, bar):
    while True:
        print("x" * 1000)


def answer_twice(context, bar):
    frames = sys.modules["app.sandbox.rules.frames"]
    write(frames.pack_frame(frames.Frame("reply", {"fields": {"sequence": 1}, "log": ""})))


def fill_state(context, bar):
    context.state["data"] = "x" * 1_000_001


def store_object(context, bar):
    context.state["data"] = object()


ACTS = {function.__name__: function for function in (
    loop, resist, leak, flood, fail, leave, send_junk, print_without_end, answer_twice, fill_state,
    store_object,
)}  # fmt: skip


class Hostile(Strategy):
    """Counts its bars, and misbehaves at the second."""

    act = TextParameter("fail", "What it does.", choices=tuple(ACTS))

    @override
    def on_bar(self, context, bar):
        context.state["bars"] = context.state.get("bars", 0) + 1
        if context.state["bars"] > 1:
            ACTS[self.act](context, bar)


class Thief(Strategy):
    """Cancels an order that is not its own, and places one under another name and for another symbol."""

    victim = TextParameter("", "The client order id of somebody's order.")
    symbol = TextParameter("AAPL", "The symbol of its order.")

    @override
    def on_bar(self, context, bar):
        orders = context._orders
        actions = sys.modules["app.strategies.rules.actions"]
        orders.actions.append(actions.CancelAction(self.victim))
        order = context.order(bar.symbol, Side.BUY, 1)
        (action,) = (item for item in orders.actions if isinstance(item, actions.PlaceAction))
        ticket = action.ticket._replace(
            strategy="counter", client_order_id=self.victim, user_id="1", symbol=self.symbol
        )
        orders.actions[-1] = actions.PlaceAction(ticket)
        assert order.id
