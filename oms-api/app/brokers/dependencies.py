"""Dependencies of the routes of broker connections."""

from typing import Annotated

from fastapi import Depends

from app.brokers.service.account_checks import CreateBroker
from app.brokers.service.connections import BrokerConnections
from app.brokers.service.sessions import BrokerLogIns
from app.http.app_state import Component

BROKER_CONNECTIONS = Component[BrokerConnections]("broker_connections")
BrokerConnectionsDep = Annotated[BrokerConnections, Depends(BROKER_CONNECTIONS)]
CREATE_BROKER = Component[CreateBroker]("create_broker")
BrokerFactoryDep = Annotated[CreateBroker, Depends(CREATE_BROKER)]
BROKER_LOG_INS = Component[BrokerLogIns]("broker_log_ins")
BrokerLogInsDep = Annotated[BrokerLogIns, Depends(BROKER_LOG_INS)]
