"""The check of names counts only names that break a rule."""

import pytest

import check_vocabulary


def find_names(source: str, path: str = "app/orders.py") -> list[str]:
    return [finding.name for finding in check_vocabulary.check_source(path, source)]


@pytest.mark.parametrize(
    "name", ["tell_user", "settle", "_give_back", "look_up", "read_board", "open_the_gate"]
)
def test_function_with_a_vague_verb_or_a_metaphor_counts(name):
    assert find_names(f"def {name}(): ...") == [name]


@pytest.mark.parametrize(
    "name", ["load_quotes", "find_order", "endpoint_of", "build_desktop", "test_tell_user"]
)
def test_plain_function_does_not_count(name):
    assert find_names(f"def {name}(): ...") == []


def test_classes_and_modules_count_once_each():
    assert find_names("class OrderDesk: ...\nclass OrderStore: ...", "app/judging.py") == [
        "judging",
        "OrderDesk",
    ]


@pytest.mark.parametrize("source", ["told = 1", "for told in range(3): ...", "def build_reply(told): ..."])
def test_vague_variable_of_an_application_counts(source):
    assert find_names(source) == ["told"]
    assert find_names(source, "tests/test_orders.py") == []


def test_field_with_the_name_of_a_column_does_not_count():
    assert find_names("class Issue:\n    ours: str\n    held: str") == ["held"]
    assert find_names("ours: str = read()") == ["ours"]


def test_field_or_a_plain_variable_does_not_count():
    assert find_names("payload = event.told") == []


@pytest.mark.parametrize(
    ("source", "word"),
    [
        ('TITLE = "Unrealised"', "Unrealised"),
        ('TEXT = f"{count} orders were cancelled."', "cancelled"),
        ('"""Colours of a chart."""', "Colours"),
    ],
)
def test_british_spelling_in_a_text_counts(source, word):
    assert find_names(source) == [word]
    assert find_names(source, "tests/test_orders.py") == []


def test_british_spelling_counts_at_its_own_line():
    source = 'TEXT = """One.\nTwo is cancelled."""'
    assert [finding.line for finding in check_vocabulary.check_source("app/x.py", source)] == [2]


def test_pages_of_the_simulator_are_checked_for_spelling(tmp_path):
    page = tmp_path / check_vocabulary.PAGES / "desk.js"
    page.parent.mkdir(parents=True)
    page.write_text('const columns = ["Mark",\n  "Unrealised", { labelledBy }];\n')
    assert [(finding.name, finding.line) for finding in check_vocabulary.find_all(tmp_path)] == [
        ("Unrealised", 2)
    ]


def test_names_and_values_of_another_program_may_have_british_spelling():
    assert find_names("task.cancelled()") == []
    for path in check_vocabulary.SPELLING["exceptions"]:
        assert find_names((check_vocabulary.ROOT / path).read_text()), f"{path} needs no exception"
        assert find_names('STATUS = "CANCELLED"', path) == []


@pytest.mark.parametrize(("count", "limit", "fails"), [(5, 5, False), (6, 5, True), (4, 5, True)])
def test_count_must_equal_the_limit(count, limit, fails):
    assert (check_vocabulary.compare(count, limit) is not None) is fails
