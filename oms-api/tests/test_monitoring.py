"""The alert rules and the dashboard name metrics that the service has, and Prometheus accepts the rules."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from app.metrics import Metrics

FOLDER = Path(__file__).parents[2] / "deploy" / "monitoring"
_METRIC = re.compile(r"\boms_[a-z_]+")


def list_metric_names():
    """Return the names of all samples that the service may have."""
    names = set()
    for family in Metrics().registry.collect():
        suffixes = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}
        names |= {family.name + suffix for suffix in suffixes.get(family.type, ("",))}
    return names


def list_panels():
    return json.loads((FOLDER / "dashboard.json").read_text())["panels"]


@pytest.mark.parametrize("name", ["alerts.yml", "dashboard.json"])
def test_every_metric_of_the_files_exists(name):
    named = set(_METRIC.findall((FOLDER / name).read_text()))
    assert named
    assert named <= list_metric_names()


def test_every_metric_is_on_the_dashboard():
    shown = " ".join(panel["targets"][0]["expr"] for panel in list_panels())
    families = {re.sub(r"_(total|bucket|sum|count)$", "", name) for name in list_metric_names()}
    assert {family for family in families if family not in shown} == set()


def test_panels_have_ids_titles_and_expressions_of_their_own():
    panels = list_panels()
    for values in zip(*((p["id"], p["title"], p["targets"][0]["expr"]) for p in panels), strict=True):
        assert len(set(values)) == len(panels)


def test_each_alert_is_in_the_documentation():
    alerts = re.findall(r"alert: (\w+)", (FOLDER / "alerts.yml").read_text())
    document = (FOLDER.parents[1] / "docs" / "monitoring.md").read_text()
    assert alerts
    assert [name for name in alerts if f"`{name}`" not in document] == []


@pytest.mark.parametrize("command", [("check", "rules", "alerts.yml"), ("check", "config", "prometheus.yml")])
def test_prometheus_accepts_the_files(command):
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed: apt-get install prometheus")
    options = ["--syntax-only"] if command[1] == "config" else []
    done = subprocess.run(
        [promtool, *command[:2], *options, command[2]],
        cwd=FOLDER,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
