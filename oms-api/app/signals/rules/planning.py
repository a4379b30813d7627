"""The portfolio and the size of a signal, by the rules of its strategy."""

from typing import NamedTuple

from app.errors import Invalid
from app.signals.errors import build_field_error
from app.signals.rules.values import (
    SIDED_SIZE_KINDS,
    Signal,
    SignalMode,
    SignalRequest,
    SignalSize,
    SizeKind,
    StrategyRules,
)

NO_PRODUCT = ""
_SIZE_MESSAGE = "Send `qty`, `notional`, `percent_of_equity`, `target_position` or `close`."
_STRATEGY_MESSAGE = (
    "There are no rules for this strategy; set them with `PUT /signals/strategies/{strategy_name}`."
)
_STOPPED_MESSAGE = "The strategy does not run; start it with `POST /strategies/{strategy_name}:start`."


class SignalPlan(NamedTuple):
    """The inputs of a signal's order besides the signal's own fields.

    `symbols` are those that its strategy may trade, None for all.
    """

    strategy: str | None
    mode: SignalMode
    size: SignalSize
    portfolio_name: str
    symbols: tuple[str, ...] | None = None


class PreparedSignal(NamedTuple):
    """A signal before its portfolio is locked, with its plan, or why it cannot become an order.

    A signal that was stored earlier has its plan already.
    """

    request: SignalRequest
    plan: SignalPlan | Invalid | None = None


def plan_signal(
    request: SignalRequest, strategy: str | None, rules: StrategyRules | None, default_portfolio: str | None
) -> SignalPlan:
    """Return the plan of a signal. Raises Invalid if it cannot become an order.

    `strategy` is the name of its strategy, `rules` are None if the strategy has none.
    """
    if strategy is not None and rules is None:
        raise build_field_error("strategy", _STRATEGY_MESSAGE, "unknown")
    if rules is not None and rules.is_stopped:
        raise build_field_error("strategy", _STOPPED_MESSAGE, "not_active")
    size = request.size or (None if rules is None else rules.size)
    if size is None:
        raise build_field_error("qty", _SIZE_MESSAGE, "unsized")
    if size.kind in SIDED_SIZE_KINDS and request.side is None:
        raise build_field_error("side", "Send `buy` or `sell` with this size.", "missing")
    portfolio = request.portfolio or (None if rules is None else rules.portfolio_name) or default_portfolio
    if portfolio is None:
        raise build_field_error("portfolio", "Send the name of the portfolio that trades.", "missing")
    if rules is None:
        return SignalPlan(strategy, SignalMode.TRADE, size, portfolio)
    return SignalPlan(rules.name, rules.mode, size, portfolio, rules.symbols)


def rebuild_prepared_signal(signal: Signal, portfolio_name: str) -> PreparedSignal:
    """Return a signal that is stored but perhaps not acted on, with the plan that it was stored with."""
    size = SignalSize(signal.size_kind, signal.size_value)
    request = SignalRequest(
        id=signal.id,
        channel=signal.channel,
        symbol=signal.symbol,
        side=signal.side,
        size=size,
        price=signal.price,
        reason=signal.reason,
        strategy=signal.strategy,
        portfolio=portfolio_name,
        expires_at=signal.expires_at,
        request_hash=signal.request_hash,
    )
    return PreparedSignal(request, SignalPlan(signal.strategy, signal.mode, size, portfolio_name))


def require_allowed_symbol(plan: SignalPlan, symbol: str) -> None:
    """Raise Invalid if the strategy may not trade the symbol."""
    if plan.symbols is not None and symbol not in plan.symbols:
        message = f"The strategy may trade {', '.join(plan.symbols)} only."
        raise build_field_error("symbol", message, "not_allowed")


def build_order_key(signal_id: str, size: SignalSize) -> str:
    """Return the idempotency key of the order of a signal."""
    operation = "close" if size.kind is SizeKind.CLOSE else "place"
    return f"{operation}:signal:{signal_id}"
