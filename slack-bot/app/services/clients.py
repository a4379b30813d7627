"""Create clients of the OMS that act for a person."""

from app.oms_client.portfolio_client import PortfolioClient
from app.services.dependencies import Services
from app.services.request_origin import RequestOrigin


def create_client(services: Services, origin: RequestOrigin) -> PortfolioClient:
    """Return a client of the OMS for the person of a request."""
    return PortfolioClient(services.oms, origin.person, origin.request_id)
