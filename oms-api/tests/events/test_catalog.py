"""The documented types of events: complete, and with valid examples."""

import json
import re
import runpy
from pathlib import Path

import jsonschema
import pytest

from app.event_catalog import build_data_schema, build_example, list_event_types
from app.ledger.rules.cash import CashKind
from app.orders.rules.values import Status
from tests.support.event_schemas import VALIDATORS

SCRIPT = Path(__file__).parents[3] / "scripts" / "event_reference.py"
TYPES = {event_type.name: event_type for event_type in list_event_types()}


def test_every_status_and_kind_of_cash_movement_is_documented():
    assert {f"order.{status.lower()}" for status in Status} <= TYPES.keys()
    assert {f"cash.{kind}" for kind in CashKind} <= TYPES.keys()


@pytest.mark.parametrize("name", TYPES)
def test_schema_and_example_are_valid(name):
    schema = build_data_schema(TYPES[name])
    jsonschema.Draft202012Validator.check_schema(schema)
    assert all(field["description"] and field["examples"] for field in schema["properties"].values())
    VALIDATORS[name].validate(build_example(TYPES[name]))


def test_the_page_of_events_names_each_type_and_its_fields():
    page = (SCRIPT.parents[1] / "docs" / "events.md").read_text()
    assert [name for name in TYPES if f"`{name}`" not in page] == []
    fields = {field for event_type in TYPES.values() for field in (*event_type.fields, *event_type.optional)}
    assert [field for field in sorted(fields) if f"`{field}`" not in page] == []


def test_examples_of_the_page_of_events_are_valid():
    page = (SCRIPT.parents[1] / "docs" / "events.md").read_text()
    examples = re.findall(r"The `data` of `([\w.]+)`:\n\n```json\n(.+?)\n```", page, re.DOTALL)
    for name, text in examples:
        VALIDATORS[name].validate(json.loads(text))
    sections = re.findall(r"^## .+", page, re.MULTILINE)
    assert len(examples) >= len(sections), "each section has an example"


def test_families_are_those_that_clients_subscribe_to():
    families = {name.partition(".")[0] for name in TYPES}
    assert families >= {
        "order",
        "trade",
        "position",
        "cash",
        "limit",
        "kill_switch",
        "approval",
        "alert",
        "webhook",
    }


def test_asyncapi_document_describes_each_type_with_an_example():
    document = runpy.run_path(str(SCRIPT))["build_document"]()
    messages = document["components"]["messages"]
    assert set(document["channels"]["events"]["messages"]) == set(TYPES)
    assert set(messages) == set(TYPES) | set(document["channels"]["websocket"]["messages"])
    for name, message in messages.items():
        (example,) = message["examples"]
        schema = {**message["payload"], "components": document["components"]}
        jsonschema.validate(example["payload"], json.loads(json.dumps(schema)))
        assert example["payload"].get("type") == (name if name in TYPES else None)
