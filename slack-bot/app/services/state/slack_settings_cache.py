"""Cache the Slack settings of the tenant."""

import logging
import threading
import time
from collections.abc import Callable

from app.errors import OmsError
from app.oms_client.slack_settings import SlackSettings, SlackSettingsClient

log = logging.getLogger(__name__)

MAX_AGE_SECONDS = 15.0


class SlackSettingsCache:
    """The settings, loaded again every 15 seconds, if the OMS responds."""

    def __init__(self, client: SlackSettingsClient, clock: Callable[[], float] = time.monotonic):
        self._client = client
        self._clock = clock
        self._lock = threading.Lock()
        self._loaded_at: float | None = None
        self.current = SlackSettings()

    def get(self) -> SlackSettings:
        """Return the settings. If the OMS does not respond, return the last known settings."""
        with self._lock:
            if self._loaded_at is None or self._clock() >= self._loaded_at + MAX_AGE_SECONDS:
                try:
                    self.current = self._client.get()
                except OmsError as error:  # such as a key without the scope `bot`
                    log.info("Slack settings not loaded", extra={"fault": str(error)})
                self._loaded_at = self._clock()
            return self.current
