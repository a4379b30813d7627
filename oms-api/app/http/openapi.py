"""The OpenAPI document of the framework, with the request bodies added that the framework does not parse."""

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI
from fastapi.encoders import jsonable_encoder
from fastapi.openapi.utils import get_openapi
from fastapi.routing import iter_route_contexts
from pydantic import BaseModel

from app.http.body import BODY_MODELS
from app.http.csv_lists import describe_lists
from app.http.openapi_examples import complete_document
from app.http.problems import Problem
from app.http.responses import NEXT_HEADER, describe_headers

_SCHEMA_REFERENCE = "#/components/schemas/{model}"
TAGS = {  # in reading order
    "trades": "Report executions that happened elsewhere, and list or reverse them.",
    "orders": "Preview, place, replace and cancel orders, and read their history and fills.",
    "positions": "Read and close positions, valued at the current market price.",
    "signals": "Send signals of strategies, set how they become orders, and read their outcomes.",
    "strategies": "Register, start, pause and stop strategies, and read their results.",
    "backtests": "Run strategies on past bars as jobs, and read or compare the results.",
    "portfolios": "Create, rename and read portfolios, now or as of an earlier time.",
    "corporate actions": "Preview, record and reverse splits, symbol changes and cash dividends.",
    "reports": "Read P&L by portfolio, symbol, day, user or strategy, round trips and tax lots.",
    "exports": "Download trades, orders, positions, P&L, cash and charges as CSV or XLSX.",
    "instruments": "Set and read the terms of instruments: exchange, currency, tick size and lot size.",
    "market data": "Read and publish quotes, and read price bars.",
    "costs": "Estimate the charges of an execution from a schedule of dated rates.",
    "calendars": "List the sessions and holidays of a market, and check whether it is open.",
    "risk": "Set risk limits and kill switches, and release execution latches.",
    "preferences": "Read and set your own defaults, formats, quiet hours, notifications and watchlists.",
    "alerts": "Create, list and delete your own alerts on prices, P&L, drawdowns and limits.",
    "events": "List or stream the changes of orders, trades, positions and settings.",
    "webhooks": "Register endpoints that receive events, and list the deliveries to them.",
    "brokers": "Connect accounts at brokers, test them and see their status.",
    "sessions": "Log in, refresh a session, log out, and read the rights of the caller.",
    "API keys": "Create, rotate and revoke the keys that programs authenticate with.",
    "users and roles": "Create users, and grant them roles for all or some portfolios.",
    "tenants": "Create and update tenants. A tenant is a team whose data no other team can see.",
    "audit": "Read and export the audit log and the ledger, and verify that nothing was altered.",
    "jobs": "List background jobs with their runs, and run one now.",
    "health": "Check whether the service is up, and read its metrics.",
}
_FRAMEWORK_ERRORS = ("HTTPValidationError", "ValidationError")


def build_openapi_document(app: FastAPI) -> dict[str, Any]:
    """Return the document, which is built once."""
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title,
            version=app.version,
            description=app.description,
            routes=app.routes,
            tags=[{"name": name, "description": text} for name, text in TAGS.items()],
        )
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        models: list[type[BaseModel]] = [Problem, *BODY_MODELS.values()]
        for model in models:
            schema = model.model_json_schema(ref_template=_SCHEMA_REFERENCE, mode="validation")
            schemas.update(schema.pop("$defs", {}))
            schemas[model.__name__] = schema
        _describe_operations(app, document)
        for name in _FRAMEWORK_ERRORS:
            schemas.pop(name, None)
        complete_document(document)
        describe_lists(document)
        app.openapi_schema = document
    return app.openapi_schema


def _describe_operations(app: FastAPI, document: dict[str, Any]) -> None:
    """Add to each operation the attribute `describes` of its dependencies, and the header of its pages."""
    for route in iter_route_contexts(app.routes):
        dependant, methods = getattr(route, "dependant", None), getattr(route, "methods", None) or ()
        item = document["paths"].get(getattr(route, "path_format", None), {})
        for method in {name.lower() for name in methods} & item.keys():
            for dependency in dependant.dependencies if dependant else ():
                _describe_operation(item[method], getattr(dependency.call, "describes", {}))
            if any(parameter["name"] == "cursor" for parameter in item[method].get("parameters", ())):
                _describe_operation(item[method], {"success_headers": describe_headers(NEXT_HEADER)})


def _describe_operation(operation: dict[str, Any], example: Mapping[str, Any]) -> None:
    """Add values to an operation.

    `responses` are added to those that it has, and `success_headers` to each successful response with a body.
    """
    values = jsonable_encoder(example, exclude_none=True)
    responses: dict[str, Any] = operation["responses"]
    responses |= values.pop("responses", {})
    operation["responses"] = dict(sorted(responses.items()))
    headers = values.pop("success_headers", {})
    for status, response in responses.items():
        if headers and status.startswith("2") and "content" in response:
            response["headers"] = response.get("headers", {}) | headers
    operation.update(values)
