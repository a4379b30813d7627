"""Generates `docs/errors.md`: every error code of both services, with its status, meaning and remedy.

Codes, statuses and sentences come from the code, meanings and remedies from `errors.toml`. `--check` writes
nothing and fails if the document differs from what would be generated.
"""

import sys
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import error_sentences as source

ROOT = Path(__file__).resolve().parent.parent
DOCUMENT = ROOT / "docs" / "errors.md"
TEXTS_FILE = Path(__file__).with_name("errors.toml")
Texts = Mapping[str, Any]


class MissingText(Exception):
    """A code has no entry in `errors.toml`, or an entry has no code."""


def build_document(root: Path) -> str:
    """Return the text of `docs/errors.md`. Raises MissingText if `errors.toml` does not fit the code."""
    texts = tomllib.loads(TEXTS_FILE.read_text())
    prose = texts["prose"]
    oms, bot = source.parse_modules(root / "oms-api/app"), source.parse_modules(root / "slack-bot/app")
    return "\n".join(
        [
            prose["introduction"],
            "## Problem types\n",
            *_list_problems(oms, texts["problems"]),
            "## Sentences by type\n",
            *_list_details(oms),
            "## Field codes\n",
            prose["fields"],
            *_list_field_codes(oms, texts["standard_fields"]),
            "## Risk denials\n",
            prose["denials"],
            *_list_denials(oms, texts["denials"]),
            "## Reasons of order events\n",
            prose["reasons"],
            *_list_order_reasons(oms, texts["order_reasons"]),
            "## Messages of the Slack bot\n",
            prose["bot"],
            *_list_bot_messages(bot, texts["bot"]),
        ]
    )


def _list_problems(modules: list[source.Module], texts: Texts) -> list[str]:
    classes = source.find_error_classes(modules)
    kinds = {class_.kind: class_ for class_ in reversed(classes.values())}
    check_complete("problems", kinds, texts)
    rows = [[f"`{kind}`", str(kinds[kind].status), *texts[kind]] for kind in sorted(kinds)]
    return _build_table(["type", "status", "meaning", "remedy"], rows)


def _list_details(modules: list[source.Module]) -> list[str]:
    rows = {
        (error_class.kind, text)
        for name, error_class in source.find_error_classes(modules).items()
        for text in source.find_details(modules, name)
    }
    return _build_table(["type", "`detail`"], [[f"`{kind}`", text] for kind, text in sorted(rows)])


def _list_field_codes(modules: list[source.Module], standard: Texts) -> list[str]:
    codes = set(source.find_coded(modules, "FieldError", code=2, message=1))
    codes |= set(source.find_coded(modules, "PydanticCustomError", code=0, message=1))
    codes |= set(standard.items())
    return _build_table(["code", "`message`"], [[f"`{code}`", text] for code, text in sorted(codes) if text])


def _list_denials(modules: list[source.Module], texts: Texts) -> list[str]:
    sentences: dict[str, list[str]] = {}
    for code, text in sorted(set(source.find_coded(modules, "Denial", code=0, message=1))):
        sentences.setdefault(code, []).append(text)
    sentences.update(
        {code: sentence_fields[2:] for code, sentence_fields in texts.items() if len(sentence_fields) > 2}
    )
    check_complete("denials", sentences, texts)
    rows = [[f"`{code}`", *texts[code][:2], "<br>".join(sentences[code])] for code in sorted(sentences)]
    return _build_table(["code", "meaning", "remedy", "`message`"], rows)


def _list_order_reasons(modules: list[source.Module], texts: Texts) -> list[str]:
    classes = {
        text
        for name in ("cancel_order", "cancel_open_orders", "finalize_order", "change_status")
        for keyword in ("reason", "broker_reason")
        for text in source.find_keyword(modules, name, keyword)
    }
    classes |= {text for _, text in source.find_coded(modules, "UnfilledCanceled", code=1, message=1)}
    classes |= {
        source.find_constants(module)["REASON"]
        for module in modules
        if module.path.endswith("/rejections.py")
    }
    check_complete("order_reasons", classes, texts)
    rows = [[texts[text][0], text, *texts[text][1:]] for text in sorted(classes)]
    return _build_table(["status", "text", "meaning", "remedy"], rows)


def _list_bot_messages(modules: list[source.Module], texts: Texts) -> list[str]:
    failures = next(module for module in modules if module.path.endswith("failure_messages.py"))
    coded = source.find_entries(failures, "DENIAL_MESSAGES")
    check_complete("bot", coded, texts)
    rows = [[f"`{code}`", coded[code], *texts[code]] for code in sorted(coded)]
    sentences = {("any", text) for text in source.find_constants(failures).values()}
    for name, place in (
        ("InvalidAmount", "an amount"),
        ("InvalidName", "a text"),
        ("InvalidCommand", "`/trade`"),
    ):
        details = source.find_details(modules, name)
        if not details:
            raise MissingText(f"No module raises {name}.")
        sentences |= {(place, text) for text in details}
    return [
        *_build_table(["reason", "message", "meaning", "remedy"], rows),
        *_build_table(["about", "message"], [list(row) for row in sorted(sentences)]),
    ]


def check_complete(section: str, codes: Iterable[str], texts: Texts) -> None:
    """Raise MissingText unless the codes and the entries of a section are the same."""
    documented = set(codes)
    problems = [f"add {code!r}" for code in sorted(documented - set(texts))]
    problems += [f"remove {code!r}" for code in sorted(set(texts) - documented)]
    if problems:
        raise MissingText(f"scripts/{TEXTS_FILE.name}, section [{section}]: {', '.join(problems)}.")


def _build_table(heads: list[str], rows: list[list[str]]) -> list[str]:
    """Return the lines of a Markdown table, followed by an empty line."""
    lines = [heads, ["---"] * len(heads), *rows]
    return [f"| {' | '.join(line)} |" for line in lines] + [""]


def main(arguments: list[str]) -> int:
    """Write the document, or compare it with `--check`. Return 1 if it is out of date or incomplete."""
    try:
        text = build_document(ROOT)
    except MissingText as error:
        print(error)
        return 1
    if "--check" not in arguments:
        DOCUMENT.write_text(text)
        return 0
    if not DOCUMENT.exists() or DOCUMENT.read_text() != text:
        print("docs/errors.md is out of date. Run scripts/error_reference.py, and review the difference.")
        return 1
    print("docs/errors.md is up to date.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
