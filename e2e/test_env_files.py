"""The settings files that a first start creates."""

import re
import stat

import pytest
from dotenv import dotenv_values

import env_files

OMS_TEMPLATE = "# the key\nOMS_API_KEY=\nOMS_BOT_KEY=\nBOT_STATEMENT_SECRET=\nJWT_KEYS=\nPORT=8001\n"
BOT_TEMPLATE = "OMS_API_KEY=\nBOT_STATEMENT_SECRET=\nOMS_API_URL=\nSLACK_BOT_TOKEN=\n"


def read_values(path):
    return {name: value or "" for name, value in dotenv_values(path).items()}


@pytest.fixture
def root(tmp_path):
    for service, template in (("oms-api", OMS_TEMPLATE), ("slack-bot", BOT_TEMPLATE)):
        (tmp_path / service).mkdir()
        (tmp_path / service / ".env.template").write_text(template)
    return tmp_path


def test_first_start_creates_a_key_of_the_bot_that_the_oms_accepts(root):
    written = env_files.ensure_service_files(root)
    oms, bot = (read_values(path) for path in written)
    assert bot["OMS_API_KEY"] == oms["OMS_BOT_KEY"] != oms["OMS_API_KEY"]
    assert bot["BOT_STATEMENT_SECRET"] == oms["BOT_STATEMENT_SECRET"] not in (oms["OMS_BOT_KEY"], "")
    assert len(oms["OMS_API_KEY"]) >= 32
    assert oms["OMS_API_KEY"] not in oms["JWT_KEYS"]
    assert re.fullmatch(r"first:[\w-]{32,}", oms["JWT_KEYS"])
    assert "JWT_KEYS" not in bot
    assert bot["OMS_API_URL"] == "http://127.0.0.1:8001"


def test_comments_and_other_settings_of_the_template_stay(root):
    env_files.ensure_service_files(root)
    text = (root / "oms-api" / ".env").read_text()
    assert text.startswith("# the key\n")
    assert text.endswith("PORT=8001\n")


def test_first_start_without_files_generates_another_key(root):
    env_files.ensure_service_files(root)
    first = read_values(root / "oms-api" / ".env")["OMS_API_KEY"]
    for service in ("oms-api", "slack-bot"):
        (root / service / ".env").unlink()
    env_files.ensure_service_files(root)
    assert read_values(root / "oms-api" / ".env")["OMS_API_KEY"] != first


def test_files_are_readable_by_their_owner_only(root):
    paths = [*env_files.ensure_service_files(root), *env_files.ensure_compose_file(root)]
    assert [stat.S_IMODE(path.stat().st_mode) for path in paths] == [0o600] * 3


def test_existing_files_are_left_alone(root):
    env_files.ensure_service_files(root)
    before = [(root / service / ".env").read_text() for service in ("oms-api", "slack-bot")]
    assert env_files.ensure_service_files(root) == []
    assert [(root / service / ".env").read_text() for service in ("oms-api", "slack-bot")] == before


@pytest.mark.parametrize("bot_key", ["b" * 40, ""])
def test_later_bot_file_has_the_bot_key_of_the_oms_file_and_not_the_oms_key(root, bot_key):
    (root / "oms-api" / ".env").write_text(f"OMS_API_KEY={'k' * 40}\nOMS_BOT_KEY={bot_key}\n")
    (path,) = env_files.ensure_service_files(root)
    assert read_values(path)["OMS_API_KEY"] == bot_key


def test_compose_file_of_an_older_version_gets_the_secrets_that_it_lacks(root):
    (root / ".env").write_text("POSTGRES_PASSWORD=p\nOMS_API_KEY=k\nJWT_KEYS=j\nSLACK_BOT_TOKEN=t")
    (path,) = env_files.ensure_compose_file(root)
    values = read_values(path)
    assert values["POSTGRES_PASSWORD"] == "p"
    assert values["OMS_API_KEY"] == "k"
    assert values["JWT_KEYS"] == "j"
    assert values["SLACK_BOT_TOKEN"] == "t"
    assert len(values["OMS_BOT_KEY"]) >= 32
    assert len(values["BOT_STATEMENT_SECRET"]) >= 32
    assert env_files.ensure_compose_file(root) == []


def test_compose_uses_the_slack_values_of_the_bot_and_generates_its_own_secrets(root):
    (root / "slack-bot" / ".env").write_text("SLACK_BOT_TOKEN=xoxb-here\nSLACK_SIGNING_SECRET=there\n")
    (path,) = env_files.ensure_compose_file(root)
    values = read_values(path)
    assert values["SLACK_BOT_TOKEN"] == "xoxb-here"
    assert values["SLACK_SIGNING_SECRET"] == "there"
    assert len(values["POSTGRES_PASSWORD"]) >= 32
    secrets = {values["POSTGRES_PASSWORD"], values["OMS_API_KEY"], values["JWT_KEYS"].removeprefix("first:")}
    assert len(secrets) == 3


def test_password_fits_into_a_database_url(root):
    (path,) = env_files.ensure_compose_file(root)
    assert not set(read_values(path)["POSTGRES_PASSWORD"]) & set("@:/?#%+ ")
