"""The alert rules and the dashboard name metrics that the service has, and Prometheus accepts the rules."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from app.metrics import Metrics

FOLDER = Path(__file__).parents[2] / "deploy" / "monitoring"
_METRIC = re.compile(r"\b(?:oms|process)_[a-z_]+")
# what prometheus_client reports of a process on Linux; the first is a counter
_PROCESS = {
    *("process_cpu_seconds_total", "process_resident_memory_bytes", "process_start_time_seconds"),
    *("process_open_fds", "process_max_fds"),
}


def list_metric_names():
    """Return the names of all samples that the service may have."""
    names = set()
    for family in Metrics().registry.collect():
        suffixes = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}
        names |= {family.name + suffix for suffix in suffixes.get(family.type, ("",))}
    return {name for name in names if name.startswith("oms_")} | _PROCESS


def list_panels():
    return json.loads((FOLDER / "dashboard.json").read_text())["panels"]


@pytest.mark.parametrize("name", ["alerts.yml", "dashboard.json"])
def test_every_metric_of_the_files_exists(name):
    metric_names = set(_METRIC.findall((FOLDER / name).read_text()))
    assert metric_names
    assert metric_names <= list_metric_names()


def test_every_metric_is_on_the_dashboard():
    shown = " ".join(panel["targets"][0]["expr"] for panel in list_panels())
    families = {re.sub(r"_(total|bucket|sum|count)$", "", name) for name in list_metric_names()}
    assert {family for family in families if family not in shown} == set()


def test_panels_have_unique_ids_titles_and_expressions():
    panels = list_panels()
    for values in zip(*((p["id"], p["title"], p["targets"][0]["expr"]) for p in panels), strict=True):
        assert len(set(values)) == len(panels)


def test_each_alert_is_in_the_documentation():
    alerts = re.findall(r"alert: (\w+)", (FOLDER / "alerts.yml").read_text())
    document = (FOLDER.parents[1] / "docs" / "monitoring.md").read_text()
    assert alerts
    assert [name for name in alerts if f"`{name}`" not in document] == []


def run_promtool(folder, *arguments):
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed: apt-get install prometheus")
    return subprocess.run([promtool, *arguments], cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("command", [("check", "rules", "alerts.yml"), ("test", "rules", "alerts_test.yml")])
def test_prometheus_accepts_the_rules_and_their_tests_hold(command):
    completed = run_promtool(FOLDER, *command)
    assert completed.returncode == 0, completed.stdout + completed.stderr


def test_prometheus_accepts_the_configuration(tmp_path):
    """Versions before 2.55, such as Debian 12's, do not know `http_headers`: the rest is checked."""
    shutil.copytree(FOLDER, tmp_path, dirs_exist_ok=True)
    config = tmp_path / "prometheus.yml"
    if "http_headers not found" in run_promtool(tmp_path, "check", "config", config.name).stderr:
        headers = re.compile(r"    http_headers:\n(?:      .*\n)+")
        config.write_text(headers.sub("", config.read_text()))
    completed = run_promtool(tmp_path, "check", "config", "--syntax-only", config.name)
    assert completed.returncode == 0, completed.stdout + completed.stderr
