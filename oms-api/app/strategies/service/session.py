"""One run of a strategy: collect inputs, write them to the journal, deliver them, and carry out its actions.

Each input is processed in three steps: it is committed to the journal, the code reacts, and its actions are
carried out before the new state is saved. If the process ends in between, the next
one repeats the last two steps. An order that was refused before it was stored has no events: its refusal is
saved with the state until it is an input in the journal. Order ids are derived from the strategy, the run,
the sequence of the input and a counter, so that a repeat finds the orders of the first attempt.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Connection, Engine

from app.clock import EPOCH, Now
from app.database import snapshot, unit_of_work
from app.strategies.queries import journal as queries
from app.strategies.queries.fills import load_capital
from app.strategies.queries.journal import SavedState
from app.strategies.queries.live_orders import load_order_ids
from app.strategies.queries.registry import ListedStrategy
from app.strategies.rules.actions import Action, CancelAction, PlaceAction, ReplaceAction
from app.strategies.rules.journal import NO_HEAD, InputKind, JournalHead, JournalInput, NewInput, link_inputs
from app.strategies.service.input_collector import InputCollector
from app.strategies.service.order_gateway import ActionResult, OrderGateway
from app.strategies.service.runner import StrategyRunner, build_empty_state

REFUSED = "REJECTED"


class JournalConflict(Exception):
    """Raised when another process runs the strategy, and has added inputs to its journal."""


class StrategySession:
    """Runs one strategy. It is used by one thread."""

    def __init__(
        self,
        engine: Engine,
        listed_strategy: ListedStrategy,
        runner: StrategyRunner,
        collector: InputCollector,
        gateway: OrderGateway,
        now: Now,
    ) -> None:
        self._engine, self._listed_strategy, self.runner = engine, listed_strategy, runner
        self._collector, self._gateway, self._now = collector, gateway, now
        self._strategy = listed_strategy.strategy
        self._head = NO_HEAD
        self._saved_state: dict[str, Any] = {}
        self._refusals: list[dict[str, Any]] = []  # payloads of inputs that are not in the journal yet

    def start(self) -> None:
        """Restore the state, call `on_start`, and deliver again the inputs that were not processed."""
        now = self._now()
        with unit_of_work(self._engine, self._strategy.tenant_id) as connection:
            state = self._load_state(connection, now)
            pending_inputs = list(
                queries.iterate_inputs(connection, state.tenant_id, state.strategy, state.processed)
            )
            self._collector.restore(connection, self._saved_state["tracked"], pending_inputs)
            self._restore_refusals(pending_inputs)
            first = self._build_start(connection, pending_inputs, now)
        (started,) = self._append_inputs([first])
        self._process_input(started, saves=not pending_inputs)
        repeated_inputs = [
            item for item in pending_inputs if item.kind not in {InputKind.START, InputKind.STOP}
        ]
        for journal_input in repeated_inputs:
            self._process_input(journal_input, saves=journal_input is repeated_inputs[-1])

    def run_step(self) -> bool:
        """Deliver new inputs, and return whether there were any."""
        now = self._now()
        with snapshot(self._engine, self._strategy.tenant_id) as connection:
            inputs = self._collector.collect(connection, now)
        return bool(self.deliver(inputs))

    def deliver(self, inputs: Sequence[NewInput]) -> list[JournalInput]:
        """Add the refusals since the last call and these inputs to the journal, and process them."""
        now = self._now()
        refused = [NewInput(InputKind.ORDER, now, orjson.dumps(item).decode()) for item in self._refusals]
        added = [*refused, *inputs]
        journaled = self._append_inputs(added) if added else []
        self._refusals = []  # not before they are in the journal
        for journal_input in journaled:
            self._process_input(journal_input)
        return journaled

    def stop(self) -> None:
        """Call `on_stop` and save the state."""
        self.deliver([NewInput(InputKind.STOP, self._now(), "{}")])

    def close(self) -> None:
        """End the process of the strategy, if it has one."""
        self.runner.close()

    def _load_state(self, connection: Connection, now: datetime) -> SavedState:
        strategy = self._strategy
        state = queries.find_state(connection, strategy.tenant_id, strategy.name)
        if state is None:
            cash = load_capital(connection, strategy.tenant_id, strategy.portfolio_id or 0)
            content = orjson.dumps({"saved": build_empty_state(cash), "tracked": {}}).decode()
            state = SavedState(strategy.tenant_id, strategy.name, content, 0, *NO_HEAD, now)
            queries.upsert_state(connection, state)
        self._head, self._saved_state = state.head, orjson.loads(state.state)
        return state

    def _restore_refusals(self, pending_inputs: Sequence[JournalInput]) -> None:
        """Restore the saved refusals, without those that are in the journal: they are delivered from it."""
        orders = [item for item in pending_inputs if item.kind is InputKind.ORDER]
        journaled_ids = {orjson.loads(item.payload)["id"] for item in orders}
        saved = self._saved_state.get("refusals", [])  # states of earlier versions have none
        self._refusals = [payload for payload in saved if payload["id"] not in journaled_ids]

    def _build_start(
        self, connection: Connection, pending_inputs: Sequence[JournalInput], now: datetime
    ) -> NewInput:
        strategy = self._strategy
        payload = {
            "entry_point": strategy.entry_point,
            "code": strategy.code_hash,
            "version": strategy.version,
            "parameters": orjson.loads(strategy.parameters),
            "symbols": strategy.symbol_names,
            "interval": strategy.interval,
            "seed": strategy.run,
            "seconds": int((now - EPOCH).total_seconds()),
            "saved": self._saved_state["saved"],
            "repeats_from": pending_inputs[0].sequence if pending_inputs else None,
            "history": self._collector.read_history(connection, now),
        }
        return NewInput(InputKind.START, now, orjson.dumps(payload).decode())

    def _append_inputs(self, inputs: Sequence[NewInput]) -> list[JournalInput]:
        """Commit inputs to the journal. Raises JournalConflict."""
        strategy = self._strategy
        linked = link_inputs(strategy.tenant_id, strategy.name, strategy.run, self._head, inputs)
        with unit_of_work(self._engine, strategy.tenant_id) as connection:
            if not queries.append_inputs(connection, self._head, linked, self._now()):
                raise JournalConflict
        self._head = JournalHead(linked[-1].sequence, linked[-1].hash)
        return linked

    def _process_input(self, journal_input: JournalInput, *, saves: bool = True) -> None:
        """Deliver an input, carry out the actions, and save the state."""
        reaction = self.runner.deliver(journal_input)
        for action in reaction.actions:
            self._execute_action(action)
        if journal_input.kind is InputKind.ORDER:
            self._untrack_closed_order(orjson.loads(journal_input.payload))
        self._saved_state = {
            "saved": orjson.loads(reaction.state),
            "tracked": self._collector.serialize(),
            "refusals": self._refusals,
        }
        if saves:
            self._save_state(
                self._head.sequence if journal_input.kind is InputKind.START else journal_input.sequence
            )

    def _save_state(self, processed: int) -> None:
        strategy = self._strategy
        content = orjson.dumps(self._saved_state).decode()
        state = SavedState(strategy.tenant_id, strategy.name, content, processed, *self._head, self._now())
        with unit_of_work(self._engine, strategy.tenant_id) as connection:
            if not queries.update_state(connection, state):
                raise JournalConflict

    def _execute_action(self, action: Action) -> None:
        order_id = None if isinstance(action, PlaceAction) else self._find_order_id(action.order_id)
        name = self._listed_strategy.portfolio_name or ""
        result = self._gateway.execute(self._strategy.tenant_id, name, action, order_id)
        self._collector.track(result.orders)
        if result.refusal is not None:
            self._record_refusal(action, result)

    def _find_order_id(self, name: str) -> str | None:
        tracked = self._collector.tracked.get(name)
        if tracked is not None:
            return tracked.order_id
        if not name.startswith(f"{self._strategy.id}-"):
            return None  # it is not an order of the strategy, whatever its code says
        with snapshot(self._engine, self._strategy.tenant_id) as connection:
            return load_order_ids(connection, self._strategy.tenant_id, [name]).get(name)

    def _record_refusal(self, action: Action, result: ActionResult) -> None:
        """Keep the payload of an input about an order that was refused before it was stored."""
        if isinstance(action, CancelAction | ReplaceAction):
            return  # the order's own events report the outcome
        ticket = action.ticket
        payload = {
            "id": action.order_id, "symbol": ticket.symbol, "side": ticket.side, "type": str(ticket.type),
            "quantity": f"{ticket.quantity:f}", "status": REFUSED, "filled_quantity": "0",
            "limit_price": None, "stop_price": None, "trail_amount": None, "trail_percent": None,
            "time_in_force": str(ticket.time_in_force), "reason": result.refusal, "parent_id": None,
            "event_count": 0,
        }  # fmt: skip
        self._refusals.append(payload)

    def _untrack_closed_order(self, payload: dict[str, Any]) -> None:
        if payload["status"] in _FINAL_STATUSES:
            self._collector.untrack_closed_order(payload["id"])


_FINAL_STATUSES = frozenset({"FILLED", "CANCELED", "EXPIRED", "REPLACED", "DENIED", "REJECTED"})
