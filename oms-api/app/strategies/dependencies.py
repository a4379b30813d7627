"""Dependencies of the routes of strategies."""

from typing import Annotated

from app.orders.service.order_service import OrderService
from app.risk.service.controls import Controls
from app.strategies.service.registry import StrategyRegistry
from app.wire.dependencies import part

TheStrategyRegistry = Annotated[StrategyRegistry, part("strategy_registry")]
TheOrderService = Annotated[OrderService, part("order_service")]
TheControls = Annotated[Controls, part("controls")]
