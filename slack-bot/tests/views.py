"""Read the views of the bot."""

from app.forms.fields import QUESTION_PREFIXES
from tests.fakes import build_problem, build_trade_json

NOTHING_RECORDED = build_problem(503, "The books are full.", kind="not-placed")


def index_blocks(response):
    return {block.get("block_id"): block for block in response["view"]["blocks"]}


def get_banner(view):
    return next(block["text"]["text"] for block in view["blocks"] if block.get("block_id") == "banner")


def list_question_ids(view):
    """Return the ids of the questions of a form."""
    ids = [block["block_id"] for block in view["blocks"]]
    return [block_id for block_id in ids if block_id.startswith(QUESTION_PREFIXES)]


def get_reasons(view):
    """Return the reasons of a form's questions as one text."""
    blocks = [block for block in view["blocks"] if str(block.get("block_id")).startswith("why:")]
    return " ".join(block["text"]["text"].replace("\u2060", "") for block in blocks)


def get_notice(view):
    return view["blocks"][0]["text"]["text"]


def build_recorded_trade():
    body = {"symbol": "AAPL", "quantity": "100", "gmv": "17500", "side": "BUY", "portfolio_name": "Growth"}
    return build_trade_json(body, "T9")
