"""The OMS over REST, the only place that knows httpx."""

from app.oms_client.client import OmsClient

__all__ = ["OmsClient"]
