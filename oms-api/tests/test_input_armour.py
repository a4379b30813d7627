"""Every route with a body, as in the OpenAPI document, with every kind of invalid body.

The answer is a problem with a 4xx status, and nothing is recorded.
"""

import json
import os

import jsonschema
import pytest

from app.identity.rules.access import Role
from tests.access.api_operations import Members
from tests.factories import BOOTSTRAP_KEY

pytestmark = pytest.mark.any_database
LONG_TESTS = bool(os.environ.get("LONG_TESTS"))
OPEN_OBJECTS = {"parameters"}  # their names are known only where the strategy is
# All routes read their bodies by the same code. These kinds of bodies are tested at each route, the other
# kinds at some.
EVERYWHERE = {"empty", "half", "array", "null", "NUL", "overflow", "object", "NaN as text"}
SOME = 7

NAMES = ["T1", "t1", "0" * 12, 1, "XNYS"]  # of things in paths, one of each form
DEEP = 20_000
HUGE = 60_000_000
SECRETS = {  # compared as they are, and never shown: any text may be one
    *("password", "refresh_token", "current_password", "new_password", "statement"),
    *("credentials", "request_token"),
}
MASS_ASSIGNED = [
    "tenant_id",
    "id",
    "trade_id",
    "filled_quantity",
    "hash",
    "sequence",
    "created_at",
    "is_admin",
]
TEXTS = {
    "NUL": "a\x00b",
    "bidi": "a\u202eb",
    "bidi isolate": "a\u2066b",
    "zero width": "a\u200bb",
    "control": "a\x1bb",
    "line separator": "a\u2028b",
}
NUMBERS = {
    "overflow": "1e999",
    "minus zero": "-0",
    "exponent": "1e5",
    "beyond 64 bits": "9223372036854775808",
    "below 64 bits": "-9223372036854775809",
    "5,000 digits": "9" * 5000,
    "29 places": "0.00000000000000000000000000001",
    "Arabic digits": '"١٢"',
    "underscore": '"1_000"',
    "minus zero as text": '"-0"',
    "29 places as text": '"0.00000000000000000000000000001"',
    "infinity as text": '"Infinity"',
    "NaN as text": '"NaN"',
    "object": '{"a":1}',
    "array": "[[1]]",
}


def list_whole_bodies(good: bytes, name: bytes) -> dict[str, bytes]:
    """Return bodies that are no JSON object. `good` is a valid body, `name` one of its fields."""
    remaining = good[1:]
    return {
        "empty": b"",
        "half": good[:-1],
        "trailing": good + b"x",
        "twice": good + good,
        "a name twice": b'{"%b":1,%b' % (name, remaining),
        "a name twice below": b'{"x":{"a":1,"a":2},%b' % remaining,
        "NaN": b'{"x":NaN,%b' % remaining,
        "Infinity": b'{"x":Infinity,%b' % remaining,
        "-Infinity": b'{"x":-Infinity,%b' % remaining,
        "Latin-1": b'{"x":"Gr\xf6\xdfe",%b' % remaining,
        "overlong": b'{"x":"\xc0\xaf",%b' % remaining,
        "encoded surrogate": b'{"x":"\xed\xa0\x80",%b' % remaining,
        "escaped surrogate": b'{"x":"\\ud800",%b' % remaining,
        "surrogate as a name": b'{"\\uDfff":1,%b' % remaining,
        "raw control": b'{"x":"a\nb",%b' % remaining,
        "raw NUL": b'{"x":"a\x00b",%b' % remaining,
        "byte order mark": b"\xef\xbb\xbf" + good,
        "UTF-16": good.decode().encode("utf-16"),
        "deep arrays": b"[" * DEEP + b"]" * DEEP,
        "deep objects": b'{"a":' * DEEP + b"1" + b"}" * DEEP,
        "deep below": b'{"x":' + b"[" * DEEP + b"]" * DEEP + b"," + remaining,
        "plus": b'{"%b":+1}' % name,
        "leading zero": b'{"%b":01}' % name,
        "hexadecimal": b'{"%b":0x1F}' % name,
        "comment": good + b"/* */",
        "single quotes": good.replace(b'"', b"'"),
        "XML": b"<trade/>",
        "form": b"symbol=AAPL&quantity=1",
        "array": b"[" + good + b"]",
        "text": b'"text"',
        "number": b"1",
        "null": b"null",
        "5,000 digits alone": b"9" * 5000,
    }


def build_valid_parameter(schema):
    """Return a valid value of a parameter, so that only the body can be refused."""
    if schema.get("format") == "date":
        return "2026-11-27"
    judge = jsonschema.Draft202012Validator(schema)
    return next(name for name in NAMES if judge.is_valid(name))


class Route:
    """An operation with a body."""

    def __init__(self, document, method, path, operation) -> None:
        self.name = f"{method.upper()} {path}"
        self.method = method
        self.operation = operation
        self._schemas = document["components"]["schemas"]
        path_values = {
            parameter["name"]: parameter.get("schema", {}) for parameter in operation.get("parameters", [])
        }
        self.path = path.format_map(
            {name: build_valid_parameter(self.resolved(schema)) for name, schema in path_values.items()}
        )
        media = operation["requestBody"]["content"]["application/json"]
        self.example = media["example"]
        self.good = json.dumps(self.example).encode()
        self.properties = self.resolved(media["schema"])["properties"]

    def resolved(self, schema):
        while "$ref" in schema:
            schema = self._schemas[schema["$ref"].rpartition("/")[2]]
        return schema

    def may_hold(self, name, text: str) -> bool:
        """Whether the document says that the field may hold this text."""
        schema = {**self.properties[name], "components": {"schemas": self._schemas}}
        judge = jsonschema.Draft202012Validator(schema)
        return judge.is_valid(text) or judge.is_valid(text.lower())  # case does not matter everywhere

    def with_field(self, name, raw: str) -> bytes:
        """Return the example with one field as `raw` JSON."""
        other_fields = {other: value for other, value in self.example.items() if other != name}
        parts = [f"{json.dumps(other)}:{json.dumps(value)}" for other, value in other_fields.items()]
        return ("{" + ",".join([*parts, f"{json.dumps(name)}:{raw}"]) + "}").encode()


def choose_routes(kind, routes):
    """Return every route, or each SOME-th of them for what is not of EVERYWHERE."""
    return routes if LONG_TESTS or kind in EVERYWHERE else routes[::SOME]


@pytest.fixture(scope="module")
def routes(service):
    document = service.app.openapi()
    faults = [
        Route(document, method, path, operation)
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if "requestBody" in operation
    ]
    assert len(faults) >= 3
    return faults


@pytest.fixture(scope="module")
def person_headers(service):
    """Provide a key that acts for a person.

    The installation's own key acts for nobody and may not make some requests.
    """
    return Members(service, service.create_client()).headers(Role.ADMIN)


@pytest.fixture
def send_body(service, person_headers):
    def send(route, content, content_type="application/json"):
        of_people = {"release_latch", "decide_approval", "request_override"}
        known_answers = (
            person_headers if route.operation["x-operation"] in of_people else {"X-API-Key": BOOTSTRAP_KEY}
        )
        headers = {**known_answers, "Content-Type": content_type}
        return service.client.request(route.method, route.path, content=content, headers=headers)

    return send


def find_fault(response, *expected):
    """Return the fault of a response that must be a problem, or None. A batch has an outcome per item."""
    if response.status_code == 200 and all(
        outcome["status"] in expected for outcome in response.json()["outcomes"]
    ):
        return None
    is_problem = response.headers["content-type"] == "application/problem+json"
    if response.status_code not in expected or not is_problem or not response.json()["detail"]:
        return response.status_code, response.text[:300]
    return None


def list_faults(responses, *expected):
    results = ((name, find_fault(response, *expected)) for name, response in responses)
    return {name: fault for name, fault in results if fault is not None}


@pytest.mark.parametrize("kind", list_whole_bodies(b'{"a":1}', b"a"))
def test_body_that_is_not_a_json_object_is_rejected(routes, send_body, kind):
    responses = []
    for route in choose_routes(kind, routes):
        if kind == "empty" and not route.operation["requestBody"]["required"]:
            continue
        name = next(iter(route.properties)).encode()
        responses.append((route.name, send_body(route, list_whole_bodies(route.good, name)[kind])))
    assert list_faults(responses, 422) == {}


@pytest.mark.parametrize("field", MASS_ASSIGNED)
def test_unknown_field_is_rejected(routes, send_body, field):
    responses = [
        (route.name, send_body(route, route.with_field(field, "1")))
        for route in routes
        if field not in route.properties
    ]
    assert responses
    assert list_faults(responses, 422) == {}


@pytest.mark.parametrize("text", TEXTS)
def test_deceptive_text_is_rejected_in_every_field(routes, send_body, text):
    responses = [
        (f"{route.name} {name}", send_body(route, route.with_field(name, json.dumps(TEXTS[text]))))
        for route in choose_routes(text, routes)
        for name in set(route.properties) - SECRETS
    ]
    assert list_faults(responses, 422) == {}


@pytest.mark.parametrize("text", TEXTS)
def test_arbitrary_secret_is_rejected_without_an_error(routes, send_body, text):
    responses = [
        (f"{route.name} {name}", send_body(route, route.with_field(name, json.dumps(TEXTS[text]))))
        for route in routes
        for name in SECRETS.intersection(route.properties)
        if "security" not in route.operation
    ]
    assert list_faults(responses, 401, 422, 429) == {}


@pytest.mark.parametrize("number", NUMBERS)
def test_unusual_number_is_rejected_in_every_field_unless_allowed(routes, send_body, number):
    raw = NUMBERS[number]
    responses = [
        (f"{route.name} {name}", send_body(route, route.with_field(name, raw)))
        for route in choose_routes(number, routes)
        for name in route.properties
        if not (raw.startswith('"') and route.may_hold(name, json.loads(raw)))
        if not (number == "object" and name in OPEN_OBJECTS)
    ]
    assert responses
    assert list_faults(responses, 422) == {}


@pytest.mark.parametrize(
    "content_type", ["", "text/plain", "application/xml", "application/x-www-form-urlencoded"]
)
def test_other_content_type_is_rejected(routes, send_body, content_type):
    responses = [(route.name, send_body(route, route.good, content_type)) for route in routes]
    assert list_faults(responses, 415) == {}


def test_sixty_megabyte_body_is_rejected_with_and_without_a_length(routes, send_body):
    def in_chunks():
        for _ in range(HUGE // 1_000_000):
            yield b" " * 1_000_000

    whole = b" " * HUGE
    responses = [
        (f"{route.name} {how}", send_body(route, body))
        for route in choose_routes("huge", routes)
        for how, body in (("whole", whole), ("chunked", in_chunks()))
    ]
    assert list_faults(responses, 413) == {}


def test_documented_examples_are_valid(routes, send_body):
    statuses = {route.name: send_body(route, route.good).status_code for route in routes}
    # 401, 403, 429: who logs in, refreshes, or claims a workspace is unknown here
    allowed = {200, 201, 202, 204, 404, 409, 401, 403, 429}
    assert set(statuses.values()) <= allowed, str(statuses)
