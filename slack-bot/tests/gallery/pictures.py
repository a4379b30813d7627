"""All pictures of the gallery."""

from tests.gallery import brokers_and_notifications, portfolios, settings_and_strategies, trades_and_orders
from tests.gallery.picture import Picture


def list_pictures() -> list[Picture]:
    """Return every view and message of the bot, with its smallest and its largest content."""
    modules = (trades_and_orders, portfolios, settings_and_strategies, brokers_and_notifications)
    return [picture for module in modules for picture in module.list_pictures()]
