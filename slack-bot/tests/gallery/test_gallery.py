"""The gallery has every view and message of the bot, and Slack takes each of them."""

import importlib
import inspect
import pkgutil
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import app.blocks
import simulator
from app.blocks.messages import Message
from app.blocks.replies import Reply
from app.blocks.text import Json
from simulator.blockkit import surfaces
from tests.gallery.picture import Picture
from tests.gallery.pictures import list_pictures
from tests.limits import check_message, check_overview, check_view

PICTURES = list_pictures()
CHECKS: dict[str, Callable[[Json], None]] = {
    "message": lambda content: check_message(content["text"], content["blocks"]),
    "modal": check_view,
    "home": check_overview,
}
# Functions that build a part of a view or message, by module.
PARTS = {
    "form_parts": {
        "build_checkbox",
        "build_choice",
        "build_entry",
        "build_modal",
        "build_number",
        "build_reason",
        "build_select",
    },
    "inputs": {"build_context_line", "build_input", "build_number_input", "build_text_input", "omit_empty"},
    "options": {"build_portfolio_options", "build_reason_option"},
    "orders.form": {"build_proposal"},
    "charts": {"build_image", "describe_chart"},
    "kill_switch_forms": {"describe_scope"},
    "replies": {"build_actions", "build_button", "build_position_select"},
    "text": {"build_mrkdwn", "build_option", "build_plain_text", "build_section"},
    "trade_buttons": {"build_trade_buttons"},
    "alert_reports": {"describe_condition"},
    "order_reports": {"describe_approval", "describe_trade"},
    "risk_reports": {"describe_switch"},
}


def list_builders() -> Iterator[tuple[str, str, Callable[..., Any]]]:
    """Yield the module, name and function of all that builds a view, a message, or the text of one."""
    for module_info in pkgutil.walk_packages(app.blocks.__path__, "app.blocks."):
        module = importlib.import_module(module_info.name)
        for name, function in inspect.getmembers(module, inspect.isfunction):
            returned = inspect.signature(function).return_annotation
            is_text = returned is str and name.startswith("describe_")
            is_builder = is_text or returned in (Json, Json | None, Message, Reply)
            if is_builder and function.__module__ == module_info.name and not name.startswith("_"):
                yield module_info.name.removeprefix("app.blocks."), name, function


def test_each_function_that_builds_a_view_or_message_has_a_picture():
    shown = {picture.builder for picture in PICTURES}
    missing = {
        f"{module}.{name}"
        for module, name, function in list_builders()
        if function not in shown and name not in PARTS.get(module, ())
    }
    assert missing == set(), "add pictures, or list them as parts"


def test_only_functions_that_exist_are_listed_as_parts():
    existing = {(module, name) for module, name, _ in list_builders()}
    assert {(module, name) for module, names in PARTS.items() for name in names} <= existing


def test_names_of_the_pictures_are_unique():
    names = [picture.name for picture in PICTURES]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("picture", PICTURES, ids=lambda picture: picture.name)
def test_each_picture_has_valid_blocks(picture: Picture):
    CHECKS[picture.surface](picture.content)
    if picture.surface == "message":
        assert surfaces.check_message(picture.content["blocks"]) == []
        assert surfaces.text_length(picture.content["blocks"]) <= surfaces.MAX_BLOCKS_CHARACTERS
    else:
        assert surfaces.check_view(picture.content, picture.surface) == []
        assert surfaces.view_size(picture.content) <= surfaces.LARGEST_VIEW_BYTES


def test_simulator_draws_each_emoji_of_the_bot():
    drawn = (Path(simulator.__file__).parent / "static" / "emoji.js").read_text()
    texts = "\n".join(picture.content["text"] for picture in PICTURES if picture.surface == "message")
    used = set(re.findall(r":([a-z_]{3,}): ", texts))
    assert used
    assert {name for name in used if f" {name}:" not in drawn} == set()
