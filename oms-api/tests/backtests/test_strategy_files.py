"""A strategy reads the files that it declares, and no others, also in the sandbox."""

import hashlib
import pickle
import sys
from contextlib import closing

import pytest

import slackoms_strategy.files
from app.backtests.rules.settings import BacktestSettings
from app.backtests.service.recorder import Recorder
from app.backtests.service.runs import prepare_sandboxed
from slackoms_strategy import InvalidFile, Strategy
from slackoms_strategy.files import read_declared_file
from tests.backtests.bars import build_lines_of_closes
from tests.backtests.support import build_blocks

MODEL = b'{"weight": 3}'
HASH = hashlib.sha256(MODEL).hexdigest()
CODE = f"""
import json
from slackoms_strategy import Side, Strategy


class Mine(Strategy):
    files = {{"model.json": "{HASH}"}}

    def on_start(self, context):
        self.weight = json.loads(context.read_file("model.json"))["weight"]

    def on_stop(self, context):
        context.order("AAPL", Side.BUY, self.weight)
"""


class Declaring(Strategy):
    """A strategy whose module is in the folder of the test."""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(sys.modules[__name__], "__file__", str(tmp_path / "code.py"))
    (tmp_path / "model.json").write_bytes(MODEL)
    return tmp_path


def test_a_declared_file_is_read_if_its_hash_is_right(folder):
    assert read_declared_file(Declaring, {"model.json": HASH.upper()}, "model.json") == MODEL
    (folder / "model.json").write_bytes(MODEL + b" ")
    with pytest.raises(InvalidFile, match="has the hash"):
        read_declared_file(Declaring, {"model.json": HASH}, "model.json")


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("other.json", "is not in `files` of the strategy. Its files are: "),
        ("../model.json", "must be the name of a file beside"),
        ("missing.json", "cannot be read: No such file"),
        ("model.pkl", "is a pickle"),
        ("large.bin", "has more than 20 bytes"),
    ],
)
def test_another_file_is_refused(folder, monkeypatch, name, problem):
    monkeypatch.setattr(slackoms_strategy.files, "MAX_FILE_BYTES", 20)
    (folder / "model.pkl").write_bytes(pickle.dumps([1]))
    (folder / "large.bin").write_bytes(b"0" * 21)
    declared = dict.fromkeys(("../model.json", "missing.json", "model.pkl", "large.bin"), HASH)
    with pytest.raises(InvalidFile, match=problem):
        read_declared_file(Declaring, declared, name)


@pytest.mark.skipif(sys.platform != "linux", reason="the sandbox is that of Linux")
def test_a_sandboxed_strategy_reads_its_model(tmp_path, monkeypatch):
    package = tmp_path / "model_code"
    package.mkdir()
    (package / "__init__.py").write_text(CODE, encoding="utf-8")
    (package / "model.json").write_bytes(MODEL)
    monkeypatch.syspath_prepend(tmp_path)
    run = prepare_sandboxed("model_code:Mine", {}, BacktestSettings())
    with closing(Recorder(tmp_path)) as recorder:
        run(["AAPL"], recorder, build_blocks(build_lines_of_closes(["10", "11"])))
    assert ",BUY,MARKET,3," in (tmp_path / "orders.csv").read_text(encoding="utf-8")
