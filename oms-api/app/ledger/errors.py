"""Define the errors that a ledger request can raise."""

from collections.abc import Sequence

from app.errors import Conflict, FieldError, Forbidden, Invalid, NotFound, OmsError


class KeyReused(Conflict):
    """Raised when the idempotency key was used before with another request body."""

    kind, title = "idempotency-key-reused", "The key was used for another request"

    def __init__(self, key: str) -> None:
        super().__init__(
            f"Idempotency-Key {key!r} was used with another body, and nothing was recorded; use a new key."
        )


class NoSuchTrade(NotFound):
    """Raised when no trade has that id, or when its portfolio is not visible to the caller."""

    def __init__(self, trade_id: str) -> None:
        super().__init__(f"There is no trade {trade_id!r}; list the trades with `GET /trades`.")


class NoSuchPortfolio(NotFound):
    """Raised when no portfolio has that name. `nearest` are similar names to suggest."""

    def __init__(self, name: str, nearest: Sequence[str] = ()) -> None:
        self.name = name
        meant = f" Did you mean {' or '.join(map(repr, nearest))}?" if nearest else ""
        create = "Create it with `POST /portfolios`, or report a trade in it."
        super().__init__(f"There is no portfolio {name!r}.{meant} {create}")


class AlreadyReversed(Conflict):
    """Raised when the trade is reversed already. A trade can be reversed once."""

    def __init__(self, trade_id: str, reversal_id: str) -> None:
        super().__init__(
            f"Trade {trade_id} was reversed already by {reversal_id}; report a new trade instead."
        )


class ReversalOfReversal(Conflict):
    """Raised when a reversal is to be reversed. Report the trade again instead."""

    def __init__(self, trade_id: str) -> None:
        super().__init__(f"{trade_id} is a reversal; report the trade again instead of reversing it.")


class FilledAtBroker(Conflict):
    """Raised when a fill at a broker is to be reversed: the account at the broker would keep it."""

    def __init__(self, trade_id: str, order_id: str) -> None:
        super().__init__(
            f"{trade_id} is a fill at the broker. Trade the other way, or bust it with "
            f"`POST /orders/{order_id}/bust` if its venue canceled it."
        )


class BookedByCorporateAction(Conflict):
    """Raised when a row that a corporate action booked is to be reversed on its own."""

    def __init__(self, trade_id: str, action_id: str) -> None:
        super().__init__(
            f"{trade_id} was booked by the corporate action {action_id}; reverse the action instead."
        )


class BeforeCorporateAction(Conflict):
    """Raised when a trade is to be reversed on whose position a later corporate action acted."""

    def __init__(self, trade_id: str, action_id: str) -> None:
        super().__init__(
            f"The corporate action {action_id} acted on the position of {trade_id}; reverse the action "
            "first, and record it again afterwards."
        )


class TradedAfterSymbolChange(Conflict):
    """Raised when the old symbol was traded on or after the date of its change."""

    def __init__(self, symbol: str, portfolio: str) -> None:
        super().__init__(
            f"{symbol} was traded in portfolio {portfolio!r} on or after the ex-date; reverse these trades, "
            "and report them under the new symbol."
        )


class MixesCurrencies(Conflict):
    """Raised when a position would be in two currencies after the reversal."""

    def __init__(self, trade_id: str) -> None:
        super().__init__(
            f"Without {trade_id} the position would be in two currencies; report the opposite trade instead."
        )


class NoRate(Invalid):
    """Raised when there is no rate to convert a trade into the portfolio's currency."""

    def __init__(self, symbol: str, currency: str, base: str) -> None:
        message = f"{symbol} is traded in {currency}, and there is no rate to {base}; publish a quote of "
        message += f"{currency}/{base}."
        super().__init__(message, [FieldError("symbol", message, "no_rate")])


class ExecutedBeforePrevious(Invalid):
    """Raised when an execution time is before the previous trade's, unless it is backdated."""

    def __init__(self, field: str, previous: str) -> None:
        message = f"Must not be before the previous trade's execution time {previous}. "
        message += "To report it all the same, send `backdated: true` and a `backdated_reason`."
        super().__init__(
            "The trade was executed before the previous one; send `backdated` to report it.",
            [FieldError(field, message, "backdated")],
        )


class TradingHalted(OmsError):
    """Raised when a kill switch stops the trade: HALTED stops all, REDUCING all but closing trades."""

    status, kind, title = 422, "kill-switch", "Trading is stopped"

    def __init__(self, name: str, state: str, scope: str) -> None:
        whose = f"portfolio {name!r}" if scope == "portfolio" else f"the {scope}"
        effect = "only what makes a position smaller passes" if state == "REDUCING" else "nothing passes"
        super().__init__(f"The kill switch of {whose} is {state}: {effect}; nothing was recorded.")


class NotPermitted(Forbidden):
    """Raised when a list of permitted instruments excludes the trade."""

    kind, title = "not-permitted", "Not permitted to trade this"


class AmountTooLarge(Conflict):
    """Raised when an amount would reach 10^15. It is refused before anything is written."""

    def __init__(self, name: str) -> None:
        super().__init__(f"The amounts of portfolio {name!r} would exceed 10^15; use another portfolio.")


class NoSuchPosition(NotFound):
    """Raised when the symbol was never traded in the portfolio, or there is no such portfolio."""

    def __init__(self, portfolio: str, symbol: str) -> None:
        super().__init__(
            f"There is no position in {symbol} in portfolio {portfolio!r}; see `GET /positions`."
        )


class PortfolioExists(Conflict):
    """Raised when a portfolio with that name exists. Names are case-insensitive."""

    def __init__(self, name: str) -> None:
        super().__init__(f"A portfolio {name!r} exists already; use it, or choose another name.")


class FixedAtCreation(Conflict):
    """Raised when a request would change what is fixed when a portfolio is created."""

    def __init__(self, field: str) -> None:
        super().__init__(
            f"`{field}` cannot be changed. Create another portfolio, or deposit and withdraw cash."
        )


class InvalidCashMovement(Invalid):
    """Raised when a cash movement names another currency or a portfolio that it cannot go to."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message, [FieldError(field, message, "cash_movement")])


class NotEnoughCash(OmsError):
    """Raised when a withdrawal or a transfer exceeds the buying power of the portfolio."""

    status, kind, title = 422, "not-enough-cash", "Not enough free cash"

    def __init__(self, name: str, amount: str, free_cash: str) -> None:
        message = f"At most {free_cash} can be taken out of {name!r}: its buying power."
        super().__init__(
            f"{amount} is too much. {message}", [FieldError("amount", message, "not_enough_cash")]
        )


class StalePortfolioIds(Exception):
    """Raised when a cached portfolio id is wrong: a restored database has other ids.

    The cache of names must be cleared then.
    """
