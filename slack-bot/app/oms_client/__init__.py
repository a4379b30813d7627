"""Call the REST API of the OMS. No other package imports httpx."""

from app.oms_client.client import OmsClient
from app.oms_client.person import Person

__all__ = ["OmsClient", "Person"]
