"""The price per share, shown while quantity and GMV are being typed."""

import logging
import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from app.blocks.trade_form import shown_price_line, with_price_line
from app.errors import SlackError
from app.forms.price import price_line
from app.forms.submission import read_draft
from app.replies.desk import Desk
from app.replies.origin import Origin

log = logging.getLogger(__name__)

REMEMBERED = 1000


@dataclass(eq=False)
class OpenForm:
    """A form being typed in. Our redraws change its hash, which the next keystroke may not know yet."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    newest: Decimal = Decimal(0)  # the latest keystroke that was drawn, by Slack's own time
    newer_hash: dict[str, str] = field(default_factory=dict)

    def latest(self, view_hash: str) -> str:
        """Return the hash that the view has by now, as far as this process changed it."""
        while newer := self.newer_hash.get(view_hash, ""):
            view_hash = newer
        return view_hash


class OpenForms:
    """The forms that were typed in lately, by view id."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._forms: OrderedDict[str, OpenForm] = OrderedDict()

    def get(self, view_id: str) -> OpenForm:
        """Return what is known of a form."""
        with self._lock:
            form = self._forms.setdefault(view_id, OpenForm())
            self._forms.move_to_end(view_id)
            while len(self._forms) > REMEMBERED:
                self._forms.popitem(last=False)
            return form


def show_price(desk: Desk, forms: OpenForms, origin: Origin, view: dict[str, Any], typed_at: str) -> None:
    """Renew the price line of an open form; when the form has moved on, the next keystroke does it."""
    draft = read_draft(view["state"]["values"])
    form = forms.get(str(view["id"]))
    with form.lock:
        moment = Decimal(typed_at)
        # With a redraw of ours under way since, Slack's copy of the line is old: compare with nothing then.
        unchanged = not form.newer_hash and shown_price_line(view) == price_line(draft)
        if moment < form.newest or unchanged:
            return
        form.newest = moment
        known = form.latest(str(view.get("hash", "")))
        try:
            new = desk.slack.update_view(str(view["id"]), with_price_line(view, draft), known)
        except SlackError as fault:
            log.info("Price line not renewed", extra={"request_id": origin.request_id, "fault": str(fault)})
            return
        if new and new != known:
            form.newer_hash[known] = new
