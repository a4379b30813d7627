"""Operate the simulator's page like a person: find everything by label, role or text."""

import os
from pathlib import Path
from typing import Literal

from playwright.sync_api import Locator, Page, expect

SHOTS = os.environ.get("SCREENSHOTS")  # a folder for screenshots; without it, none are taken
PHONE_PIXELS, SCREEN_PIXELS = 390, 1280
LOOKS: dict[str, tuple[Literal["light", "dark"], int]] = {
    "light": ("light", SCREEN_PIXELS),
    "dark": ("dark", SCREEN_PIXELS),
    "phone": ("light", PHONE_PIXELS),
    "phone-dark": ("dark", PHONE_PIXELS),
}

IDS = {
    "Ava Chen": "T0DESK00001 · U0AVACHEN01",
    "Ben Okafor": "T0DESK00001 · U0BENOKAF02",
    "Zoë Núñez": "T0DESK00001 · U0ZOENUNE03",
    "Dev Patel": "T0DESK00001 · U0DEVPATE04",
    "Mia Larsen": "T0DESK00001 · U0MIALARS06",
    "Kim Park": "T0PARTNER02 · U0KIMPARK05",
}


class SlackPage:
    """The simulator's page in a browser."""

    def __init__(self, page: Page):
        self.page = page

    def type(self, text: str) -> None:
        """Type into the message box and send it. While a form is open, the box takes no keys."""
        self.wait_for_no_form()
        composer = self.page.get_by_test_id("composer")
        composer.fill(text)
        composer.press("Enter")
        expect(composer).to_have_value("")

    def act_as(self, person: str) -> None:
        """Act as another person, by full name. Forms must be closed first."""
        self.wait_for_no_form()
        self.page.get_by_test_id("person").select_option(label=person)
        expect(self.page.get_by_test_id("signed-as")).to_contain_text(IDS[person])

    def open_channel(self, channel: str) -> None:
        """Open another channel."""
        self.page.get_by_test_id(f"channel-{channel}").click()
        expect(self.page.get_by_role("heading", name=channel)).to_be_visible()

    @property
    def form(self) -> Locator:
        """The open form."""
        return self.page.get_by_role("dialog")

    def fill(self, symbol: str, quantity: str, gmv: str, side: str, portfolio: str) -> None:
        """Fill in the complete form. `portfolio` is an existing name or a new one."""
        self.fill_entry("Symbol", symbol)
        self.fill_entry("Quantity", quantity)
        self.fill_entry("GMV (optional)", gmv)
        self.form.get_by_role("radio", name=side, exact=True).check()
        self.choose_portfolio(portfolio)

    def fill_entry(self, label: str, text: str) -> None:
        """Type into the field with this label."""
        self.form.get_by_role("textbox", name=label, exact=True).fill(text)

    def choose_portfolio(self, name: str) -> None:
        """Type a name into the portfolio field and choose the first option."""
        self.form.get_by_role("combobox", name="Portfolio").fill(name)
        self.form.get_by_role("option", name=name).first.click()

    def place(self) -> None:
        """Click the button that places the trade."""
        self.form.get_by_role("button", name="Place trade").click()

    def place_and_confirm(self) -> None:
        """Click the button, confirm all questions, and click it again."""
        self.place()
        questions = self.form.get_by_role("checkbox", name="Yes, ")
        expect(questions.first).to_be_visible()
        for question in questions.all():
            question.check()
        self.place()

    @property
    def field_errors(self) -> Locator:
        """The error messages of the fields."""
        return self.form.get_by_test_id("field-error")

    def message(self, text: str) -> Locator:
        """Return the messages with this text that everybody in the channel sees."""
        return self.page.locator('[data-testid="message"][data-ephemeral="false"]', has_text=text)

    def find_private_message(self, text: str) -> Locator:
        """Return the messages with this text that only this person sees."""
        return self.page.locator('[data-testid="message"][data-ephemeral="true"]', has_text=text)

    def save_screenshots(self, name: str) -> None:
        """Save screenshots of the page: light, dark, and at the width of a phone."""
        for look, (scheme, width) in LOOKS.items() if SHOTS else ():
            self.page.emulate_media(color_scheme=scheme)
            self.page.set_viewport_size({"width": width, "height": 844 if width == PHONE_PIXELS else 800})
            path = Path(SHOTS or "") / f"{name}-{look}.png"
            self.page.screenshot(path=path, animations="disabled")
        if SHOTS:
            self.page.emulate_media(color_scheme="light")
            self.page.set_viewport_size({"width": SCREEN_PIXELS, "height": 800})

    def close_form(self) -> None:
        """Close all open forms with the button for it."""
        self.form.get_by_role("button", name="Close everything").click()
        self.wait_for_no_form()

    def wait_for_no_form(self) -> None:
        """Wait until no form is open."""
        expect(self.form).to_have_count(0)
