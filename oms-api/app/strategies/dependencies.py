"""Dependencies of the routes of strategies."""

from typing import Annotated

from app.orders.service.order_service import OrderService
from app.risk.service.controls import Controls
from app.strategies.service.code_inspection import CodeInspector
from app.wire.dependencies import part

CodeInspectorDep = Annotated[CodeInspector, part("code_inspector")]
OrderServiceDep = Annotated[OrderService, part("order_service")]
ControlsDep = Annotated[Controls, part("controls")]
