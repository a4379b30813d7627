"""The OMS over REST, the only place that knows httpx."""

from app.oms_client.client import OmsClient
from app.oms_client.person import Person

__all__ = ["OmsClient", "Person"]
