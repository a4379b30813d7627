"""A process that has imported the service and analyzed its routes. Other processes are forked from it."""

import gc

import httptools  # noqa: F401  # the server imports it when it starts
import uvicorn  # noqa: F401  # likewise
import uvloop  # noqa: F401  # likewise
from fastapi.routing import iter_route_contexts

import app.http_server.protocol  # noqa: F401  # likewise
from app.calendars.service import Calendars
from app.main import _list_included

Calendars.load()
list(iter_route_contexts(_list_included()))
gc.collect()
gc.freeze()
