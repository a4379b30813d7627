"""The list of errors is complete: it finds sentences in the code, and misses no code."""

from pathlib import Path

import pytest

import error_reference
import error_sentences
from error_sentences import Module

SOURCE = """
_MAX = "many"

class OmsError(Exception):
    status, kind, title = 500, "internal", "Broken"

class NotFound(OmsError):
    status, kind, title = 404, "not-found", "Not found"

class NoSuchOrder(NotFound):
    def __init__(self, order_id):
        super().__init__(f"There is no order {order_id!r}; at most {_MAX}.")

def check(ticket):
    message = "Send a price"
    message += " above zero."
    if ticket.price is None:
        message = "Send a price."
        raise ValueError([FieldError("price", message, "missing")])
    return _misplaced("price", message)

def _misplaced(field, message):
    return FieldError(field, message, "misplaced")
"""


@pytest.fixture
def modules(tmp_path: Path) -> list[Module]:
    (tmp_path / "errors.py").write_text(SOURCE)
    return error_sentences.parse_modules(tmp_path)


def test_error_class_inherits_type_and_status(modules: list[Module]) -> None:
    classes = error_sentences.find_error_classes(modules)
    assert classes["NoSuchOrder"] == ("not-found", 404, "Not found")


def test_sentence_shows_values_by_their_names(modules: list[Module]) -> None:
    assert error_sentences.find_details(modules, "NoSuchOrder") == [
        "There is no order {order_id}; at most many."
    ]


def test_message_is_followed_through_variables_and_helpers(modules: list[Module]) -> None:
    coded = set(error_sentences.find_coded(modules, "FieldError", code=2, message=1))
    assert coded == {("missing", "Send a price."), ("misplaced", "Send a price above zero.")}


@pytest.mark.parametrize(("codes", "entries"), [({"A", "B"}, {"A": []}), ({"A"}, {"A": [], "B": []})])
def test_code_without_an_entry_and_an_entry_without_a_code_are_errors(
    codes: set[str], entries: dict[str, list[str]]
) -> None:
    with pytest.raises(error_reference.MissingText, match="'B'"):
        error_reference.check_complete("denials", codes, entries)


def test_document_is_up_to_date() -> None:
    root = Path(__file__).resolve().parent.parent
    assert (root / "docs/errors.md").read_text() == error_reference.build_document(root)
