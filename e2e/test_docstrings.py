"""The check of docstrings finds names that do not exist and texts that a replacement damaged."""

import pytest

import check_docstrings

SOURCE = '''
"""Orders, as in `{reference}`."""

class OrderEvent:
    leaves: int

def close_order(order: OrderEvent, quantity: int) -> None:
    """{docstring}"""
    quantity = 1  # {comment}
    print("lag_seconds")
'''


def find_problems(docstring: str = "Close it.", comment: str = "", reference: str = "quantity") -> list[str]:
    source = SOURCE.format(docstring=docstring, comment=comment, reference=reference)
    module = check_docstrings.parse_module("oms-api/app/orders.py", source)
    return [
        finding.problem
        for finding in check_docstrings.check_module(module, check_docstrings.collect_code([module]))
    ]


@pytest.mark.parametrize(
    ("docstring", "problem"),
    [
        ("Close it. `OrderRow` has the rest.", "`OrderRow`: nothing in the code is named OrderRow"),
        ("Close it. `order` is open, as in `close_order`.", None),
        ("OrderEvent the order to CLOSED.", "the docstring of close_order begins with the class OrderEvent"),
        ("Close an order of a user in an hour, one at a time.", None),
        ("Close an position.", '"an position": the article does not fit'),
        ("Close a order.", '"a order": the article does not fit'),
        ("Raise OrderEvent if it is closed.", None),
        ("Close it. Raises OrderEvent, ValueError and oms.OrderGone.", "no class is named OrderGone"),
        ("Close it. Raise OrderEvent.", 'write "Raises" after the first sentence'),
    ],
)
def test_docstring_names_existing_parameters_and_functions(docstring: str, problem: str | None) -> None:
    problems = find_problems(docstring)
    assert len(problems) == (problem is not None)
    assert all(location.startswith(problem or "") for location in problems)


def test_described_parameter_belongs_to_the_function_or_to_a_class_of_its_module() -> None:
    assert find_problems("`quantity` is signed. `leaves` is left. `lag_seconds` is a text.") == []
    assert find_problems(
        "`sequence` is signed.", comment="`sequence` of the order", reference="close_order"
    ) == [
        "`sequence`: nothing in the code is named sequence",
        "`sequence`: nothing in the code is named sequence",
        "the docstring of close_order describes `sequence`, which the function does not have",
    ]


def test_comments_and_references_are_checked() -> None:
    assert find_problems(comment="see `old_name`") == ["`old_name`: nothing in the code is named old_name"]
    assert "as in `move`: nothing in this module is named move" in find_problems(reference="move")


def test_document_names_existing_parts_of_its_file() -> None:
    sources = {
        "oms-api/app/checks.py": "CHECK_ORDER = 1",
        "oms-api/app/other.py": "ORDER = 1\nclass RiskInput:\n    limit: int",
    }
    text = (
        "`CHECK_ORDER` in `app/checks.py`\n`ORDER` in `app/checks.py`\n`RiskInput` `RiskBox` `MAX_ORDERS`\n"
        "`other.ORDER` `RiskInput.limit` `app.other`\n`checks.ORDER` `RiskInput.size` `place_order`\n"
    )
    findings = check_docstrings.check_document("docs/x.md", text, sources)
    assert [(finding.line, finding.problem) for finding in findings] == [
        (2, "`ORDER`: app/checks.py has no such name"),
        (3, "`RiskBox`: nothing in the code is named so"),
        (3, "`MAX_ORDERS`: nothing in the code is named so"),
        (5, "`place_order`: nothing in the code is named so"),
        (5, "`checks.ORDER`: checks has no such name"),
        (5, "`RiskInput.size`: RiskInput has no such name"),
    ]
