"""The interface of trading strategies for SlackOMS.

A strategy is a subclass of `Strategy`. It runs unchanged in a backtest, on paper and live.
"""

from slackoms_strategy.context import Amount, Context
from slackoms_strategy.files import InvalidFile
from slackoms_strategy.indicators import (
    AverageTrueRange,
    Cross,
    ExponentialMovingAverage,
    Highest,
    Indicator,
    Lowest,
    PriceIndicator,
    PriceSeries,
    Series,
    SimpleMovingAverage,
    StandardDeviation,
)
from slackoms_strategy.parameters import (
    BooleanParameter,
    DecimalParameter,
    IntegerParameter,
    InvalidParameter,
    Parameter,
    ParameterDescription,
    TextParameter,
    list_parameters,
)
from slackoms_strategy.strategy import Strategy
from slackoms_strategy.values import (
    Bar,
    BarColumns,
    Fill,
    OrderState,
    OrderStatus,
    OrderType,
    Position,
    Quote,
    Side,
    TimeInForce,
)

__all__ = [
    "Amount",
    "AverageTrueRange",
    "Bar",
    "BarColumns",
    "BooleanParameter",
    "Context",
    "Cross",
    "DecimalParameter",
    "ExponentialMovingAverage",
    "Fill",
    "Highest",
    "Indicator",
    "IntegerParameter",
    "InvalidFile",
    "InvalidParameter",
    "Lowest",
    "OrderState",
    "OrderStatus",
    "OrderType",
    "Parameter",
    "ParameterDescription",
    "Position",
    "PriceIndicator",
    "PriceSeries",
    "Quote",
    "Series",
    "Side",
    "SimpleMovingAverage",
    "StandardDeviation",
    "Strategy",
    "TextParameter",
    "TimeInForce",
    "list_parameters",
]
