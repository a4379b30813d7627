"""Follow the Slack settings of the tenant: channels for trading, and roles from user groups."""

import logging
import time

from app.errors import OmsError, OmsRejected, SlackError
from app.oms_client.slack_settings import SlackSettingsClient
from app.services.dependencies import Services
from app.services.state.slack_settings_cache import MAX_AGE_SECONDS

log = logging.getLogger(__name__)

REFRESH_SECONDS = 10.0  # so that a submission need not load the settings
GROUPS_EVERY_SECONDS = 600.0  # in case an event is lost
NOT_HERE = "Trading is allowed in {channels} only. Nothing was sent. Please type the command there."


def require_trading_channel(services: Services, channel: str) -> None:
    """Raise `OmsRejected` if the tenant does not allow trading in a channel.

    An empty channel is never allowed.
    """
    if sentence := find_channel_refusal(services, channel):
        raise OmsRejected(sentence)


def find_channel_refusal(services: Services, channel: str) -> str:
    """Return why trading is not allowed where a form was opened. Empty if it is."""
    channels = services.slack_settings.get().channels
    if not channels or channel in channels:
        return ""
    return NOT_HERE.format(channels=", ".join(f"<#{channel}>" for channel in sorted(channels)))


def get_channel_portfolio(services: Services, channel: str) -> str:
    """Return the portfolio that forms of a channel preselect. This calls nothing."""
    return services.slack_settings.current.channels.get(channel, "")


def find_report_channel(services: Services, portfolio: str = "") -> str:
    """Return the channel for what nobody in Slack caused, such as a broker that is lost, or an empty text.

    It is `TRADING_CHANNEL`, else the tenant's channel of the portfolio, else its first one.
    """
    if services.trading_channel:
        return services.trading_channel
    channels = services.slack_settings.get().channels
    key = portfolio.casefold()
    of_portfolio = (channel for channel in sorted(channels) if key and channels[channel].casefold() == key)
    return next(of_portfolio, min(channels, default=""))


def sync_group_roles(services: Services) -> None:
    """Report the members of the user groups that have a role. Raises `OmsError` or `SlackError`."""
    roles = services.slack_settings.get().group_roles
    if roles:
        members = {group: services.slack.list_group_members(group) for group in sorted(roles)}
        SlackSettingsClient(services.oms).report_groups(services.team, members)


def run_group_sync(services: Services) -> None:
    """Load the settings and report the user groups repeatedly, and when an event or the settings change."""
    next_at = 0.0
    reported_roles = None
    while not services.stopping.is_set():
        roles = services.slack_settings.get().group_roles
        if services.groups_changed.is_set() or roles != reported_roles or time.monotonic() >= next_at:
            services.groups_changed.clear()
            reported_roles = roles
            next_at = time.monotonic() + GROUPS_EVERY_SECONDS
            try:
                sync_group_roles(services)
            except (OmsError, SlackError) as error:
                log.warning("Roles of user groups not reported", extra={"fault": str(error)})
                next_at = time.monotonic() + MAX_AGE_SECONDS
            except Exception:  # one failure must not end the thread
                log.exception("Roles of user groups not reported")
        services.groups_changed.wait(REFRESH_SECONDS)
