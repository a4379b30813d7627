"""Compare the deployment files with the code: names, ports, commands, variables.

No container engine is needed.
"""

import json
import re
import shlex
import subprocess
import sys

import pytest
import yaml
from jsonschema import Draft202012Validator

import run
from deployment_files import (
    ROOT,
    SERVICES,
    VARIABLE,
    get_instruction,
    get_module_file,
    list_settings,
    parse_dockerfile,
    read_image_environment,
)

SCHEMAS = ROOT / "e2e" / "schemas"
# Variables of the platform, not of a service.
PLATFORM = {"POSTGRES_USER", "POSTGRES_DB", "POSTGRES_PASSWORD"}


def parse_file(name):
    return yaml.safe_load((ROOT / name).read_text())


@pytest.fixture(scope="module")
def compose():
    return parse_file("docker-compose.yml")


@pytest.fixture(scope="module")
def render():
    return parse_file("render.yaml")


@pytest.fixture(scope="module")
def settings():
    """Provide the names of the variables that each service's config.py reads, in upper case."""
    return {service: list_settings(service) for service in SERVICES}


def list_render_variables(service):
    return {item["key"]: item for item in service["envVars"]}


@pytest.mark.parametrize(
    "name", ["docker-compose.yml", "docker-compose.prod.yml", "render.yaml", "render-free.yaml"]
)
def test_configuration_matches_its_schema(name):
    schema_name = re.match(r"docker-compose|render", name)
    assert schema_name
    schema = json.loads((SCHEMAS / f"{schema_name[0]}.json").read_text())
    Draft202012Validator.check_schema(schema)
    problems = [
        f"{'.'.join(map(str, error.path))}: {error.message}"
        for error in Draft202012Validator(schema).iter_errors(parse_file(name))
    ]
    assert problems == []


# Images


@pytest.mark.parametrize("service", SERVICES)
def test_image_installs_the_pinned_hashed_requirements(service):
    assert any(
        re.search(r"--require-hashes --no-deps -r requirements.txt && pip check", line)
        for line in get_instruction(service, "RUN")
    )


@pytest.mark.parametrize("service", SERVICES)
def test_image_runs_as_a_separate_user(service):
    names = [name for name, _ in parse_dockerfile(service)]
    (user,) = get_instruction(service, "USER")
    assert user not in {"root", "0"}
    assert names.index("USER") < names.index("CMD")
    assert any(f" {user}" in line for line in get_instruction(service, "RUN") if "useradd" in line)


@pytest.mark.parametrize(("service", "port"), SERVICES.items())
def test_image_listens_on_its_exposed_port_and_is_probed_there(service, port):
    environment = read_image_environment(service)
    assert environment["HOST"] == "0.0.0.0"  # noqa: S104  # a container's inside
    assert environment["PORT"] == str(port)
    assert get_instruction(service, "EXPOSE") == [str(port)]
    (check,) = get_instruction(service, "HEALTHCHECK")
    assert "/health" in check


@pytest.mark.parametrize("service", SERVICES)
def test_images_and_make_run_use_the_same_command(service):
    (command,) = get_instruction(service, "CMD")
    program = next(each for each in run.list_programs({}, {}, run.PORTS) if each.name == service)
    assert json.loads(command) == ["python", *program.command[1:]]


@pytest.mark.parametrize("service", SERVICES)
def test_command_of_an_image_exists(service):
    (command,) = get_instruction(service, "CMD")
    assert get_module_file(service, json.loads(command)).is_file()


@pytest.mark.parametrize("service", SERVICES)
def test_images_contain_no_secrets_databases_or_tests(service):
    ignored = (ROOT / service / ".dockerignore").read_text().splitlines()
    assert {".env", ".env.*", "*.db", "tests"} <= set(ignored)


@pytest.mark.parametrize("service", SERVICES)
def test_image_sets_only_variables_that_the_service_reads(service, settings):
    own = {"PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE", "PIP_NO_CACHE_DIR", "PIP_DISABLE_PIP_VERSION_CHECK"}
    assert set(read_image_environment(service)) - own <= settings[service]


# docker compose


def test_compose_has_the_database_the_migration_and_both_services(compose):
    assert list(compose["services"]) == ["postgres", "migrate", "oms-api", "ibkr", "slack-bot"]


def test_compose_has_no_default_passwords(compose):
    text = (ROOT / "docker-compose.yml").read_text()
    required = {name for name, modifier in VARIABLE.findall(text) if modifier.startswith(":?")}
    optional = {name for name, modifier in VARIABLE.findall(text) if not modifier.startswith(":?")}
    assert required == {
        "POSTGRES_PASSWORD",
        "OMS_API_KEY",
        "OMS_BOT_KEY",
        "BOT_STATEMENT_SECRET",
        "JWT_KEYS",
        "SLACK_BOT_TOKEN",
        "SLACK_SIGNING_SECRET",
    }
    brokers = {"BROKER_KEYS", "ALPACA_API_KEY", "ALPACA_API_SECRET", "ALPACA_BASE_URL"}
    brokers |= {"IB_HOST", "IB_PORT", "IB_ACCOUNT", "IB_CLIENT_ID"}
    assert optional == brokers | {
        "OMS_API_KEY_PREVIOUS",
        "SLACK_APP_TOKEN",
        "WEBHOOK_KEYS",
        "TRADING_CHANNEL",
        "APPROVALS_CHANNEL",
        "BOT_DATABASE_URL",
        "BOT_ENCRYPTION_KEYS",
        "SLACK_CLIENT_ID",
        "SLACK_CLIENT_SECRET",
    }


def test_make_docker_up_writes_the_variables_that_compose_requires(compose, tmp_path):
    from env_files import COMPOSE_TEMPLATE  # noqa: PLC0415  # beside what it is compared with

    required = {name for name, modifier in VARIABLE.findall(str(compose)) if modifier.startswith(":?")}
    assert {
        line.partition("=")[0] for line in COMPOSE_TEMPLATE.splitlines() if not line.startswith("#")
    } == required


@pytest.mark.parametrize("name", ["oms-api", "slack-bot", "migrate", "ibkr"])
def test_compose_sets_only_variables_that_the_service_reads(name, compose, settings):
    service = "slack-bot" if name == "slack-bot" else "oms-api"
    assert set(compose["services"][name]["environment"]) - PLATFORM <= settings[service]


@pytest.mark.parametrize(("service", "port"), SERVICES.items())
def test_compose_publishes_each_service_on_loopback_at_its_usual_port(service, port, compose):
    assert compose["services"][service]["ports"] == [f"127.0.0.1:{port}:{port}"]
    assert compose["services"][service]["environment"]["PORT"] == str(port)


def test_nothing_but_the_services_is_published(compose):
    published = {name for name, service in compose["services"].items() if "ports" in service}
    assert published == set(SERVICES)


def test_bot_finds_the_oms_by_its_name_and_port_and_has_the_key_of_bots(compose):
    bot, oms = (compose["services"][name]["environment"] for name in ("slack-bot", "oms-api"))
    assert bot["OMS_API_URL"] == "http://oms-api:8001"
    assert bot["OMS_API_KEY"] == oms["OMS_BOT_KEY"] != oms["OMS_API_KEY"]
    assert bot["BOT_STATEMENT_SECRET"] == oms["BOT_STATEMENT_SECRET"]


def test_oms_reaches_the_bot_by_its_name_and_port(compose, render):
    bot, oms = (compose["services"][name]["environment"] for name in ("slack-bot", "oms-api"))
    assert bot["OMS_EVENTS_URL"] == oms["WEBHOOK_INTERNAL_URLS"] == "http://slack-bot:3000/oms/events"
    api, other = (list_render_variables(service) for service in render["services"])
    address = {"type": "web", "name": "slackoms-bot", "property": "hostport"}
    assert api["WEBHOOK_INTERNAL_URLS"]["fromService"] == other["OMS_EVENTS_URL"]["fromService"] == address


def test_order_of_starting_is_database_migration_oms_bot(compose):
    needs = {name: service.get("depends_on", {}) for name, service in compose["services"].items()}
    assert needs["migrate"]["postgres"]["condition"] == "service_healthy"
    assert needs["oms-api"]["migrate"]["condition"] == "service_completed_successfully"
    assert needs["slack-bot"]["oms-api"]["condition"] == "service_healthy"


def test_every_container_is_read_only_and_without_capabilities(compose):
    for service in compose["services"].values():
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]


def test_migration_runs_once_by_the_same_image_and_command_as_render(compose, render):
    migrate = compose["services"]["migrate"]
    api = next(service for service in render["services"] if service["name"] == "slackoms-api")
    assert migrate["image"] == compose["services"]["oms-api"]["image"]
    assert migrate["restart"] == "no"
    assert shlex.join(migrate["command"]) == api["preDeployCommand"]
    assert get_module_file("oms-api", migrate["command"]).is_file()


def test_ledger_and_pending_confirmations_are_on_declared_volumes(compose):
    mounts = [mount for name in ("postgres", "slack-bot") for mount in compose["services"][name]["volumes"]]
    assert {mount.partition(":")[0] for mount in mounts} == set(compose["volumes"])
    folder = mounts[-1].partition(":")[2]
    database_url = compose["services"]["slack-bot"]["environment"]["BOT_DATABASE_URL"]
    assert database_url == f"${{BOT_DATABASE_URL:-sqlite:///{folder}/bot.db}}"
    assert f"--owner=bot --mode=700 {folder}" in (ROOT / "slack-bot" / "Dockerfile").read_text()


# Render


def test_render_has_both_services_and_a_database_for_each(render):
    assert {service["rootDir"] for service in render["services"]} == set(SERVICES)
    assert [database["name"] for database in render["databases"]] == ["slackoms-db", "slackoms-bot-db"]


def test_render_runs_two_bots_on_a_separate_database(render):
    (bot,) = (service for service in render["services"] if service["name"] == "slackoms-bot")
    assert bot["numInstances"] == 2
    (url,) = (item for item in bot["envVars"] if item["key"] == "BOT_DATABASE_URL")
    assert url["fromDatabase"]["name"] == "slackoms-bot-db"


def test_render_sets_only_variables_that_the_service_reads(render, settings):
    for service in render["services"]:
        assert set(list_render_variables(service)) <= settings[service["rootDir"]]


def test_render_generates_the_keys_and_the_bot_takes_its_own_from_the_api(render):
    api, bot = (list_render_variables(service) for service in render["services"])
    source = {"type": "web", "name": "slackoms-api"}
    for secret in ("OMS_API_KEY", "OMS_BOT_KEY", "BOT_STATEMENT_SECRET", "WEBHOOK_KEYS", "JWT_KEYS"):
        assert api[secret] == {"key": secret, "generateValue": True}
    assert bot["OMS_API_KEY"]["fromService"] == source | {"envVarKey": "OMS_BOT_KEY"}
    assert bot["BOT_STATEMENT_SECRET"]["fromService"] == source | {"envVarKey": "BOT_STATEMENT_SECRET"}
    assert bot["OMS_API_URL"]["fromService"] == source | {"property": "hostport"}


def test_references_of_render_are_defined(render):
    resource_names = {item["name"] for item in [*render["services"], *render["databases"]]}
    entries = [entry for service in render["services"] for entry in service["envVars"]]
    references = [entry.get("fromService") or entry.get("fromDatabase") for entry in entries]
    assert {reference["name"] for reference in references if reference} <= resource_names


def test_render_yaml_contains_no_secret(render):
    plain = {
        entry["key"] for service in render["services"] for entry in service["envVars"] if "value" in entry
    }
    assert plain == {"ENVIRONMENT", "HOST", "PORT"}


def test_render_services_share_one_region(render):
    assert len({item["region"] for item in [*render["services"], *render["databases"]]}) == 1


def test_free_variant_of_render_has_the_same_services_and_no_private_network():
    free, paid = parse_file("render-free.yaml"), parse_file("render.yaml")
    plans = {item["plan"] for item in [*free["services"], *free["databases"]]}
    assert plans == {"free"}
    for body, other in zip(free["services"], paid["services"], strict=True):
        assert (body["name"], body["rootDir"], body["healthCheckPath"]) == (
            *(other["name"], other["rootDir"], other["healthCheckPath"]),
        )
        assert "preDeployCommand" not in body
        entries = list_render_variables(body)
        assert not any(entry.get("fromService", {}).get("property") for entry in entries.values())
        assert set(entries) - set(list_render_variables(other)) <= {"READER_THREADS"}
        assert set(list_render_variables(other)) - set(entries) <= {
            "WEBHOOK_INTERNAL_URLS",
            "BOT_DATABASE_URL",
        }
    assert "python -m app.migrate && exec python -m app.main" in free["services"][0]["dockerCommand"]


def test_render_and_the_images_use_the_same_health_check(render):
    for service in render["services"]:
        (check,) = get_instruction(service["rootDir"], "HEALTHCHECK")
        assert f"'{service['healthCheckPath']}'" in check


# Settings and requirements


@pytest.mark.parametrize("service", SERVICES)
def test_template_names_only_variables_that_the_service_reads(service, settings):
    lines = (ROOT / service / ".env.template").read_text().splitlines()
    names = {match[1] for line in lines if (match := re.match(r"#?([A-Z][A-Z0-9_]+)=", line))}
    assert names <= settings[service]
    assert "OMS_API_KEY" in names


def test_no_template_holds_a_secret():
    for service in SERVICES:
        lines = (ROOT / service / ".env.template").read_text().splitlines()
        secret = [
            line for line in lines if re.match(r"(OMS_API_KEY\w*|JWT_KEYS|SLACK_\w*(TOKEN|SECRET))=.", line)
        ]
        assert secret == []


def list_pins(path):
    return dict(re.findall(r"^([a-z0-9-]+)==(\S+)", (ROOT / path).read_text(), re.MULTILINE))


REQUIREMENTS = [
    "oms-api/requirements-sdk.txt",
    "oms-api/requirements-ibkr.txt",
    "oms-api/requirements-celery.txt",
    *(f"{service}/{name}.txt" for service in SERVICES for name in ("requirements", "requirements-dev")),
]


def test_one_environment_holds_both_services():
    versions: dict[str, set[str]] = {}
    for path in REQUIREMENTS:
        for name, version in list_pins(path).items():
            versions.setdefault(name, set()).add(version)
    assert {name: tags for name, tags in versions.items() if len(tags) > 1} == {}


@pytest.mark.parametrize("path", REQUIREMENTS)
def test_every_requirement_is_pinned_and_hashed_without_addresses(path):
    text = (ROOT / path).read_text()
    blocks = re.split(r"\n(?=\S)", text.strip())
    assert all("==" in block and "--hash=sha256:" in block for block in blocks)
    assert "://" not in text


@pytest.mark.parametrize("path", REQUIREMENTS)
def test_every_requirement_is_pinned(path):
    lines = (ROOT / path).with_suffix(".in").read_text().splitlines()
    names = {match[0] for line in lines if (match := re.match(r"[a-z][a-z0-9-]+", line))}
    assert names <= set(list_pins(path))


def test_service_requirements_contain_no_test_tools():
    for service in SERVICES:
        assert not {"pytest", "mypy", "playwright", "hypothesis"} & set(
            list_pins(f"{service}/requirements.txt")
        )


# The Makefile


@pytest.mark.parametrize(
    "target",
    [
        *(
            "help",
            "install",
            "run",
            "test",
            "check",
            "bench",
            "migrate",
            "seed-data",
            "docker-up",
            "docker-down",
        ),
        *("dev", "dev-install", "shell", "superuser", "lint", "check-all", "test-cov", "test-unit"),
        *("dev-worker", "dev-beat", "flower"),
        *("test-integration", "test-watch", "makemigrations", "docker-logs", "docker-shell"),
    ],
)
def test_makefile_documents_each_target(target):
    out = subprocess.run(
        ["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    ).stdout
    assert re.search(rf"^  make {target} +\S", out, re.MULTILINE)


def test_scripts_that_the_makefile_runs_exist():
    text = (ROOT / "Makefile").read_text()
    for path in re.findall(r"\$\(PY\) (\S+\.py)", text):
        assert (ROOT / path).is_file() or (ROOT / "oms-api" / path).is_file(), path
    for module in re.findall(r"\$\(PY\) -m (app\.\w+)", text):
        file = get_module_file("oms-api", ["python", "-m", module])
        assert file.is_file() or (file.with_suffix("") / "__main__.py").is_file(), module


def test_targets_are_listed_in_groups():
    out = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60).stdout
    groups = re.findall(r"^[A-Z].*$", out, re.MULTILINE)[1:]
    assert groups == [
        "Run",
        "Jobs by Celery, with REDIS_URL",
        "Database and people",
        "Tests and checks",
        "Containers",
        "Housekeeping",
    ]
    declared = set(re.findall(r"^([a-z][a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    listed = set(re.findall(r"^  make (\S+)", out, re.MULTILINE))
    assert declared - listed == {"test-oms-api", "test-slack-bot", "test-e2e"}


def test_ci_script_is_executable_and_valid_bash():
    script = ROOT / ".ci" / "run"
    assert script.stat().st_mode & 0o111
    subprocess.run(["bash", "-n", str(script)], check=True, timeout=60)


def test_running_python_is_supported_by_the_services():
    assert sys.version_info >= (3, 11)
