"""Repeat a background task of a process until it is canceled."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from app.errors import OmsError


async def repeat(
    action: Callable[[], Awaitable[object]], seconds: float, subject: str, log: logging.Logger
) -> None:
    """Call `action`, and again `seconds` after it has ended, until canceled.

    Errors are logged with `subject`, which says what was not done, and the task continues.
    """
    while True:
        try:
            await action()
        except OmsError as error:
            log.warning("%s: %s", subject, error.detail)
        except Exception:  # the task must survive any error and try again
            log.exception(subject)
        await asyncio.sleep(seconds)
