"""Every view and message of the bot can be read: light, dark and on a phone.

With SCREENSHOTS=folder, screenshots of all of them are saved there.
"""

import pytest

from gallery_page import load_pictures, open_gallery

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def gallery(chromium):
    """Provide the simulator in a browser."""
    context = chromium.new_context(viewport={"width": 390, "height": 800})
    page = context.new_page()
    page.set_default_timeout(30_000)
    with open_gallery(page) as opened:
        yield opened
    context.close()


def test_forms_can_be_read(gallery):
    faults = []
    for picture in load_pictures("modal"):
        dialog = gallery.show_modal(picture["content"])
        faults += gallery.find_faults({picture["name"]: dialog})
        gallery.close_modal()
    assert not faults, "\n".join(faults)


def test_overviews_can_be_read(gallery):
    faults = []
    for picture in load_pictures("home"):
        overview = gallery.show_overview(picture["content"])
        faults += gallery.find_faults({picture["name"]: overview})
    assert not faults, "\n".join(faults)


# The last test, because the page reads all messages again at each change.
def test_messages_can_be_read(gallery):
    shown = {each["name"]: gallery.show_message(each["content"]) for each in load_pictures("message")}
    gallery.open_channel()
    faults = gallery.find_faults(shown)
    assert not faults, "\n".join(faults)
