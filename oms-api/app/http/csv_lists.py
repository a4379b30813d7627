"""Lists as CSV for clients that ask for `Accept: text/csv`."""

from http import HTTPStatus
from typing import Any

import orjson
from starlette.types import Message, Scope, Send

from app.http.csv_format import CSV, CSV_UTF8, find_listed, format_list

_JSON_TYPE = "application/json"


class CsvSender:
    """Sends a response on, and a list in JSON as CSV. The response waits until its body is complete."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._start: Message | None = None
        self._body: list[bytes] = []

    async def __call__(self, message: Message) -> None:
        """Send a message of the response on, or keep it if the response is in JSON."""
        if message["type"] == "http.response.start" and _is_json(message):
            self._start = message
            return
        if self._start is None:
            await self._send(message)
            return
        self._body.append(message.get("body", b""))
        if not message.get("more_body", False):
            await self._send_all(self._start, b"".join(self._body))

    async def _send_all(self, start: Message, body: bytes) -> None:
        items = find_listed(orjson.loads(body))
        headers = [(name, value) for name, value in start["headers"] if name.lower() != b"content-length"]
        if items is not None:
            body = format_list(items)
            headers = [header for header in headers if header[0].lower() != b"content-type"]
            headers.append((b"content-type", CSV_UTF8.encode()))
        headers += [(b"content-length", str(len(body)).encode()), (b"vary", b"Accept")]
        await self._send({**start, "headers": headers})
        await self._send({"type": "http.response.body", "body": body})


def send_as_accepted(scope: Scope, send: Send) -> Send:
    """Return the sender of the responses to a request. It converts lists if the client prefers CSV."""
    if scope["type"] != "http" or scope["method"] != "GET":
        return send
    accept = next((value for name, value in scope["headers"] if name == b"accept"), b"")
    return CsvSender(send) if is_preferred(accept.decode("latin-1"), CSV, _JSON_TYPE) else send


def is_preferred(accept: str, media_type: str, other_type: str) -> bool:
    """Return whether an Accept header names the type `wanted`, and with a higher quality than `other_type`.

    Of two types of the same quality, the first is preferred.
    """
    qualities: dict[str, float] = {}
    for part in accept.split(","):
        name, *parameters = (text.strip().lower() for text in part.split(";"))
        qualities.setdefault(name, _parse_quality(parameters))
    if qualities.get(media_type, 0.0) == 0.0:
        return False
    if qualities.get(other_type, 0.0) == qualities[media_type]:
        names = list(qualities)
        return names.index(media_type) < names.index(other_type)
    return qualities[media_type] > qualities.get(other_type, 0.0)


def describe_lists(document: dict[str, Any]) -> None:
    """Add CSV to the successful answers of the lists of an OpenAPI document."""
    schemas = document["components"]["schemas"]
    for item in document["paths"].values():
        response = item.get("get", {}).get("responses", {}).get("200", {})
        schema = response.get("content", {}).get(_JSON_TYPE, {}).get("schema")
        if schema is not None and _is_list(schema, schemas):
            csv_schema = {"type": "string", "description": "A heading and one line per item, CRLF, UTF-8"}
            response["content"][CSV] = {"schema": csv_schema}


def _is_json(start: Message) -> bool:
    content_type = next((value for name, value in start["headers"] if name.lower() == b"content-type"), b"")
    return bool(start["status"] == HTTPStatus.OK and content_type.startswith(_JSON_TYPE.encode()))


def _parse_quality(parameters: list[str]) -> float:
    text = next((parameter[2:] for parameter in parameters if parameter.startswith("q=")), "1")
    try:
        return float(text)
    except ValueError:
        return 0.0


def _is_list(schema: dict[str, Any], schemas: dict[str, Any]) -> bool:
    if "$ref" in schema:
        fields = schemas[schema["$ref"].rpartition("/")[2]].get("properties", {})
        return any(fields.get(name, {}).get("type") == "array" for name in ("items", "rows"))
    if "anyOf" in schema:
        return any(_is_list(part, schemas) for part in schema["anyOf"])
    return bool(schema.get("type") == "array")
