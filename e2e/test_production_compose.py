"""`docker-compose.prod.yml` and its mounted files are consistent. No container engine is needed."""

import re
import shutil
import subprocess

import pytest
import yaml

from deployment_files import ROOT, VARIABLE, get_instruction, get_module_file, list_settings
from env_files import COMPOSE_TEMPLATE, PRODUCTION_TEMPLATE

OMS = (
    *("migrate", "oms-api-1", "oms-api-2", "worker"),
    *("celery-worker", "celery-urgent", "celery-beat", "flower"),
)
TEXT = (ROOT / "docker-compose.prod.yml").read_text()
NGINX = (ROOT / "deploy/proxy/nginx.conf").read_text()


@pytest.fixture(scope="module")
def compose():
    return yaml.safe_load(TEXT)


def test_compose_has_two_api_processes_and_extras_in_profiles(compose):
    profiles = {name: tuple(service.get("profiles", ())) for name, service in compose["services"].items()}
    assert [name for name, service_profiles in profiles.items() if not service_profiles] == [
        *("proxy", "postgres", "redis", "migrate", "oms-api-1", "oms-api-2", "worker", "slack-bot"),
    ]
    assert {name for name, service_profiles in profiles.items() if service_profiles == ("monitoring",)} == {
        "prometheus",
        "grafana",
    }
    assert {name for name, service_profiles in profiles.items() if service_profiles == ("celery",)} == {
        *("celery-worker", "celery-urgent", "celery-beat", "flower"),
    }


def test_every_container_is_hardened_and_restarts(compose):
    for name, service in compose["services"].items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["restart"] == ("no" if name == "migrate" else "unless-stopped"), name
        assert service["logging"]["options"]["max-size"], name


def test_only_the_proxy_is_reachable_from_outside_and_databases_have_no_way_out(compose):
    published = {name: body["ports"] for name, body in compose["services"].items() if "ports" in body}
    assert published.pop("proxy") == ["443:8443", "80:8080"]
    assert all(port.startswith("127.0.0.1:") for ports in published.values() for port in ports)
    assert compose["networks"]["data"]["internal"] is True
    for name in ("postgres", "redis", "migrate"):
        assert list(compose["services"][name]["networks"]) == ["data"]


def test_services_set_only_variables_that_they_read(compose):
    settings = list_settings("oms-api") | {"FLOWER_BASIC_AUTH"}
    for name in OMS:
        assert set(compose["services"][name]["environment"]) <= settings, name
        assert get_instruction("oms-api", "ENV")
    assert set(compose["services"]["slack-bot"]["environment"]) <= list_settings("slack-bot")


def test_secrets_are_required_and_the_script_writes_them(compose):
    required = {name for name, modifier in VARIABLE.findall(TEXT) if modifier.startswith(":?")}
    written = {
        line.partition("=")[0]
        for line in (COMPOSE_TEMPLATE + PRODUCTION_TEMPLATE).splitlines()
        if "=" in line and not line.startswith("#")
    }
    assert required == written
    assert not re.search(r"(PASSWORD|KEYS?|SECRET): [\"']?\w", TEXT)


def test_keys_can_be_rotated_with_both_values(compose):
    oms, bot = (compose["services"][name]["environment"] for name in ("oms-api-1", "slack-bot"))
    for name in ("JWT_KEYS", "WEBHOOK_KEYS", "BROKER_KEYS", "BACKUP_KEYS"):  # lists
        assert oms[name].startswith(f"${{{name}:?"), name
    assert oms["OMS_API_KEY_PREVIOUS"] == "${OMS_API_KEY_PREVIOUS:-}"
    assert bot["BOT_ENCRYPTION_KEYS"] == "${BOT_ENCRYPTION_KEYS:-}"


def test_commands_and_mounted_files_exist(compose):
    for name, service in compose["services"].items():
        command = service.get("command", [])
        if command[:2] == ["python", "-m"] and command[2].startswith("app."):
            assert get_module_file("oms-api", command).is_file(), name
        for mount in service.get("volumes", []):
            source = re.sub(r"\$\{[^}]*\}", "", mount).partition(":")[0]
            assert not source.startswith("./") or (ROOT / source).exists(), mount
            assert source.startswith("./") or not source or source in compose["volumes"], mount


def test_api_trusts_the_proxy_and_the_proxy_knows_both_processes(compose):
    address = compose["services"]["proxy"]["networks"]["front"]["ipv4_address"]
    network = compose["services"]["oms-api-1"]["environment"]["TRUSTED_PROXIES"]
    assert address.rsplit(".", 1)[0] == network.rsplit(".", 1)[0]
    assert network == compose["networks"]["front"]["ipam"]["config"][0]["subnet"]
    assert re.findall(r"server ([\w-]+:\d+)", NGINX) == ["oms-api-1:8001", "oms-api-2:8001", "slack-bot:3000"]
    for rule in ("limit_req zone=", "limit_conn connections", "ssl_protocols TLSv1.2 TLSv1.3"):
        assert rule in NGINX
    for hidden in ("/metrics", "/oms/events"):
        assert f"location = {hidden} {{ return 404; }}" in NGINX


def test_every_location_of_the_proxy_names_the_host_and_the_client():
    """A location that sets a header inherits none: else a client could name any address."""
    blocks = re.findall(r"location [^{]+\{[^}]*\}", NGINX)
    assert len(blocks) == 5
    for block in blocks:
        if "proxy_set_header" in block:
            assert "proxy_set_header Host $host;" in block, block
            assert "proxy_set_header X-Forwarded-For $remote_addr;" in block, block


def test_nginx_accepts_the_configuration(tmp_path):
    """With addresses and a certificate of this machine. Versions before 1.25 do not know `http2 on`."""
    nginx = shutil.which("nginx")
    if nginx is None:
        pytest.skip("nginx is not installed: apt-get install nginx-light")
    certificate_files = [f"{tmp_path}/tls.key", f"{tmp_path}/tls.pem"]
    subject = ["-subj", "/CN=localhost", "-days", "1", "-nodes", "-newkey", "rsa:2048"]
    made = [
        "openssl",
        "req",
        "-x509",
        *subject,
        "-keyout",
        certificate_files[0],
        "-out",
        certificate_files[1],
    ]
    subprocess.run(made, check=True, capture_output=True)
    text = re.sub(r"server [\w-]+:(\d+)", r"server 127.0.0.1:\1", NGINX).replace("http2 on;", "")
    text = text.replace("/tmp/", f"{tmp_path}/").replace("/etc/nginx/certificates", str(tmp_path))
    (tmp_path / "nginx.conf").write_text(text)
    command = [nginx, "-t", "-p", str(tmp_path), "-c", str(tmp_path / "nginx.conf"), "-e", "/dev/null"]
    completed = subprocess.run(command, capture_output=True, text=True, check=False)
    assert completed.returncode == 0, completed.stderr


def test_prometheus_finds_every_process_by_the_shared_name(compose):
    config = yaml.safe_load((ROOT / "deploy/monitoring/prometheus.yml").read_text())
    scrape, worker = config["scrape_configs"]
    [body] = scrape["dns_sd_configs"]
    assert worker["dns_sd_configs"] == [{"names": ["worker"], "type": "A", "port": 9464}]
    assert compose["services"]["worker"]["environment"]["WORKER_METRICS_PORT"] == "9464"
    assert set(compose["services"]["prometheus"]["networks"]) & set(compose["services"]["worker"]["networks"])
    aliases = [compose["services"][f"oms-api-{number}"]["networks"]["front"]["aliases"] for number in (1, 2)]
    assert aliases == [body["names"], body["names"]]
    assert compose["services"]["prometheus"]["secrets"][0]["target"] == "/etc/prometheus/oms-key"


def test_flower_has_a_password_and_listens_on_this_machine(compose):
    flower = compose["services"]["flower"]
    assert flower["ports"] == ["127.0.0.1:5555:5555"]
    assert flower["environment"]["FLOWER_BASIC_AUTH"].startswith("operator:${FLOWER_PASSWORD:?")


def test_backups_are_on_a_volume_that_the_user_of_the_image_owns(compose):
    worker = compose["services"]["worker"]
    assert worker["volumes"] == [f"backups:{worker['environment']['BACKUP_FOLDER']}"]
    assert any("--owner=oms --mode=700 /srv/backups" in line for line in get_instruction("oms-api", "RUN"))
