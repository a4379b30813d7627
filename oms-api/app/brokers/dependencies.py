"""Dependencies of the routes of broker connections."""

from typing import Annotated

from app.brokers.service.account_checks import CreateBroker
from app.brokers.service.connections import BrokerConnections
from app.brokers.service.sessions import BrokerLogIns
from app.wire.dependencies import part

BrokerConnectionsDep = Annotated[BrokerConnections, part("broker_connections")]
BrokerFactoryDep = Annotated[CreateBroker, part("create_broker")]
BrokerLogInsDep = Annotated[BrokerLogIns, part("broker_log_ins")]
