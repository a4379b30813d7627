"""Startup before the first request, and shutdown after the last one."""

import asyncio
import gc
import logging
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from app import __version__
from app.audit.service import AuditWriter
from app.config import ConfigurationError, Settings
from app.database import Readers, connect_engine, require_safe_durability
from app.database.engine import UnsafeDatabase
from app.database.failures import format_reason
from app.database.files import DatabaseFile
from app.forwarding import Forwarder, ServeExchange
from app.group_commit import GroupCommit
from app.logs import AccessLog
from app.migrate import get_migration_url, migrate
from app.orders.service.command_results import Outcome
from app.orders.service.commands import WriterCommand
from app.rate_limit import BucketExchange

# The writer waits this long for the interpreter's lock after each database response; the default of 5 ms adds
# up.
THREAD_SWITCH_SECONDS = 0.0005
MAX_FILES = 65_536
_LOG = logging.getLogger(__name__)


class CannotStart(Exception):
    """Raised when the service must not take requests. The message states what to do."""


@dataclass(frozen=True, slots=True)
class ManagedComponents:
    """Components to start, and to close in the reverse order."""

    engine: Engine
    readers: Readers
    writer: GroupCommit[WriterCommand, Outcome]
    audit_writer: AuditWriter
    access_log: AccessLog
    database_file: DatabaseFile
    first_to_close: Sequence[Callable[[], None]] = ()
    bucket_exchange: BucketExchange | None = None
    background_tasks: Sequence[Callable[[], Coroutine[Any, Any, None]]] = ()  # each runs until it is canceled


@dataclass(frozen=True, slots=True)
class Forwarding:
    """The forwarder of a worker process, and the function that serves the requests of other workers."""

    forwarder: Forwarder
    serve: ServeExchange


def lifespan(
    settings: Settings, parts: ManagedComponents, forwarding: Forwarding | None = None
) -> Callable[[object], AbstractAsyncContextManager[None]]:
    """Return the application's lifespan, which raises CannotStart if the database is down or unsafe."""

    @asynccontextmanager
    async def run(_: object) -> AsyncIterator[None]:
        _prepare_database(settings, parts.engine, parts.database_file)
        _set_interpreter_options()
        parts.writer.start()
        if parts.bucket_exchange is not None:
            parts.bucket_exchange.start()
        parts.audit_writer.start()
        background_tasks = [asyncio.create_task(job()) for job in parts.background_tasks]
        _LOG.info("ready", extra={"database": parts.engine.dialect.name, "version": __version__})
        if forwarding is not None:
            await forwarding.forwarder.start(forwarding.serve)
        yield
        if forwarding is not None:
            await forwarding.forwarder.close()
        await _cancel_tasks(background_tasks)
        if parts.bucket_exchange is not None:
            await parts.bucket_exchange.close()
        for close in parts.first_to_close:
            close()
        parts.writer.close()
        parts.audit_writer.close()
        parts.readers.close()
        parts.access_log.flush()
        parts.engine.dispose()

    return run


async def _cancel_tasks(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _prepare_database(settings: Settings, engine: Engine, file: DatabaseFile) -> None:
    try:
        if settings.migrates_at_start:
            owner = connect_engine(
                get_migration_url(settings), readers=1, timeout_seconds=settings.database_timeout_seconds
            )
            migrate(owner)
            owner.dispose()
        with engine.connect() as connection:
            require_safe_durability(connection)
        _require_writable(engine, file)
    except (UnsafeDatabase, ConfigurationError) as error:
        raise CannotStart(str(error)) from None
    except SQLAlchemyError as error:
        raise CannotStart(
            f"The database cannot be used: {format_reason(error)}. Check DATABASE_URL."
        ) from None


def _require_writable(engine: Engine, file: DatabaseFile) -> None:
    problem = file.find_problem()
    if problem is not None:
        raise CannotStart(problem)
    # SQLite opens a read-only file and reports it only at the first write
    if engine.dialect.name == "sqlite":
        with engine.connect().execution_options(writes=True) as connection:
            connection.exec_driver_sql("PRAGMA user_version")


def _set_interpreter_options() -> None:
    sys.setswitchinterval(THREAD_SWITCH_SECONDS)
    gc.collect()
    gc.freeze()  # objects created at startup stay alive, so the garbage collector need not scan them


def raise_file_limit() -> None:
    """Raise the limit of open files as far as the system allows, up to MAX_FILES.

    Each connection is an open file.
    """
    with suppress(ImportError, ValueError, OSError):
        import resource  # noqa: PLC0415  # Windows has none

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        file_limit = MAX_FILES if hard == resource.RLIM_INFINITY else min(hard, MAX_FILES)
        if soft != resource.RLIM_INFINITY and soft < file_limit:
            resource.setrlimit(resource.RLIMIT_NOFILE, (file_limit, hard))
