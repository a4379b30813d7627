"""The check of prose finds banned phrases and long sentences, and ignores code."""

import pytest

import check_prose


def find_problems(text: str) -> list[tuple[int, str]]:
    return [(finding.line, finding.problem) for finding in check_prose.check_text("docs/x.md", text)]


@pytest.mark.parametrize("text", ["Whoever sends it pays.", "Do this in order to win.", "The wall holds."])
def test_banned_phrase_is_found(text: str) -> None:
    assert [line for line, _ in find_problems(f"# Title\n\n{text}\n")] == [3]


@pytest.mark.parametrize(
    "text", ["Use `whoever`.", "```\nwhoever\n```", "[the name](whoever.md)", "Go forward with awards."]
)
def test_code_and_parts_of_words_are_not_checked_as_prose(text: str) -> None:
    assert find_problems(text) == []


def test_long_sentence_is_found_across_lines_but_not_across_list_items() -> None:
    half = " ".join(["word"] * (check_prose.MAX_WORDS // 2 + 1))
    assert [line for line, _ in find_problems(f"First.\n\n{half}\n{half}.\n")] == [3]
    assert find_problems(f"- {half}\n- {half}\n") == []
    assert find_problems(f"| {half} | {half} |\n") == []


def test_generated_document_is_checked_for_spelling_alone() -> None:
    (path,) = check_prose.GENERATED
    text = "Whoever sends it pays.\n\nThe order was cancelled.\n"
    assert [finding.line for finding in check_prose.check_text(path, text)] == [3]


def test_documents_have_no_problems(capsys: pytest.CaptureFixture[str]) -> None:
    assert check_prose.main() == 0, capsys.readouterr().out
