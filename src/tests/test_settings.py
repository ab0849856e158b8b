"""Settings: where a value comes from, and what a person reads when it can't be used."""

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from ..exceptions import ConfigError
from ..settings import MASK, Explained, Settings, explain, load_settings, unknown_variables, variable


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No faultwatch.toml but what a test writes."""
    monkeypatch.chdir(tmp_path)


def line(settings: Settings, name: str) -> Explained:
    """The explanation of one setting."""
    return next(line for line in explain(settings) if line.name == name)


def refusal(**overrides: object) -> str:
    """What loading says when it refuses."""
    with pytest.raises(ConfigError) as refused:
        load_settings(**overrides)
    return str(refused.value)


def test_the_defaults_need_nothing(tmp_path: Path) -> None:
    settings = load_settings()
    assert settings.data == tmp_path / "faultwatch-data"
    assert settings.database_url == f"sqlite:///{tmp_path}/faultwatch-data/faultwatch.db"
    assert settings.lake_url == f"{tmp_path}/faultwatch-data/lake"
    assert settings.secret_key_file == tmp_path / "faultwatch-data" / "secret.key"
    assert (settings.host, settings.port, settings.base_url) == ("127.0.0.1", 8765, "http://127.0.0.1:8765")
    assert {line.source for line in explain(settings)} == {"default"}


def test_what_depends_on_the_data_folder_follows_it(tmp_path: Path) -> None:
    settings = load_settings(data="elsewhere")
    assert settings.database_url == f"sqlite:///{tmp_path}/elsewhere/faultwatch.db"
    assert settings.lake_url == f"{tmp_path}/elsewhere/lake"
    assert line(settings, "lake_url").source == "default"


def test_the_command_line_counts_before_the_environment_before_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "faultwatch.toml").write_text('host = "a"\nport = 1\nrole = "web"\n')
    monkeypatch.setenv("FAULTWATCH_PORT", "2")
    monkeypatch.setenv("FAULTWATCH_ROLE", "loop")
    settings = load_settings(role="all", session_hours=None)
    assert (settings.host, settings.port, settings.role) == ("a", 2, "all")
    assert line(settings, "host").source == str(tmp_path / "faultwatch.toml")
    assert line(settings, "port").source == "environment variable FAULTWATCH_PORT"
    assert line(settings, "role").source == "command line"
    assert line(settings, "session_hours").source == "default"


def test_the_file_is_looked_for_here_then_in_the_data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "faultwatch.toml").write_text("port = 3\n")
    assert load_settings(data=data).port == 3
    monkeypatch.setenv("FAULTWATCH_DATA", str(data))
    assert load_settings().file == data / "faultwatch.toml"
    (tmp_path / "faultwatch.toml").write_text("port = 4\n")
    assert load_settings().port == 4
    (tmp_path / "other.toml").write_text("port = 5\n")
    monkeypatch.setenv("FAULTWATCH_CONFIG", "other.toml")
    assert load_settings().port == 5


def test_relative_paths_in_the_file_are_meant_from_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "etc"
    folder.mkdir()
    (folder / "faultwatch.toml").write_text('data = "store"\nlake_url = "s3://bucket/lake"\n')
    monkeypatch.setenv("FAULTWATCH_CONFIG", str(folder / "faultwatch.toml"))
    settings = load_settings()
    assert settings.data == folder / "store"
    assert settings.lake_url == "s3://bucket/lake"


def test_an_empty_variable_counts_as_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAULTWATCH_PORT", "")
    assert line(load_settings(), "port").source == "default"


def test_sizes_may_be_written_with_a_unit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAULTWATCH_MAX_BODY_BYTES", "16 MiB")
    assert load_settings().max_body_bytes == 16 << 20


def test_a_postgresql_address_gets_its_driver() -> None:
    assert load_settings(database_url="postgresql://u@h/n").database_url == "postgresql+psycopg://u@h/n"
    assert load_settings(database_url="postgres://u@h/n").database_url == "postgresql+psycopg://u@h/n"


@pytest.mark.parametrize(
    ("host", "address"),
    [("0.0.0.0", "http://127.0.0.1:80"), ("::", "http://[::1]:80"), ("fd00::2", "http://[fd00::2]:80")],
)
def test_the_address_of_the_dashboard_is_one_a_browser_can_open(host: str, address: str) -> None:
    assert load_settings(host=host, port=80).base_url == address


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("port", "abc", "'abc' from environment variable FAULTWATCH_PORT, expected a whole number, at least 0"),
        ("port", "70000", "at least 0 and at most 65535"),
        ("role", "both", "expected one of all, loop, web"),
        ("notifications", "perhaps", "expected true or false"),
        ("learn_readings", "299", "expected a whole number, at least 300"),
        ("retention_days", "0", "expected a whole number, at least 1"),
        ("lake_commit_s", "nan", "expected a number, above 0"),
        ("late_limit_s", "inf", "expected a number, above 0"),
        ("max_body_bytes", "lots", "expected a size such as 65536 or 64 MiB, at least 1024"),
        ("base_url", "dashboard", "expected an address such as https://"),
        ("database_url", "mysql://h/n", "expected sqlite:///PATH or postgresql://"),
        ("lake_storage_options", "{", "FAULTWATCH_LAKE_STORAGE_OPTIONS): expected a JSON object of names and texts"),
    ],
)
def test_a_refusal_names_setting_value_source_and_what_was_expected(
    name: str, text: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable(name), text)
    message = refusal()
    assert message.startswith(f"setting {name}")
    assert expected in message


def test_every_fault_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAULTWATCH_PORT", "x")
    assert refusal(role="y").count("expected") == 2


def test_kubernetes_own_variable_is_recognised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAULTWATCH_PORT", "tcp://10.0.0.7:8765")
    assert "enableServiceLinks: false" in refusal()


def test_a_line_of_the_file_that_is_no_setting_is_refused(tmp_path: Path) -> None:
    (tmp_path / "faultwatch.toml").write_text("prot = 1\n")
    assert refusal() == f"'prot' (from {tmp_path / 'faultwatch.toml'}) is not a setting; did you mean port?"


def test_a_file_that_is_not_toml_is_refused_with_the_place(tmp_path: Path) -> None:
    (tmp_path / "faultwatch.toml").write_text("port = \n")
    assert f"{tmp_path / 'faultwatch.toml'} is not TOML: " in refusal()
    assert "line 1" in refusal()


def test_a_file_that_is_named_must_be_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAULTWATCH_CONFIG", "gone.toml")
    assert refusal() == "FAULTWATCH_CONFIG names 'gone.toml', which is not a file"


def test_a_misspelt_variable_is_pointed_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAULTWATCH_RETENTION_DAY", "3")
    assert "FAULTWATCH_RETENTION_DAY is not a setting; did you mean FAULTWATCH_RETENTION_DAYS?" in unknown_variables()


def test_secrets_are_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAULTWATCH_LAKE_STORAGE_OPTIONS", json.dumps({"AWS_SECRET_ACCESS_KEY": "hush"}))
    settings = load_settings(database_url="postgresql://user:hu:sh@x@host/name")
    assert settings.storage_options() == {"AWS_SECRET_ACCESS_KEY": "hush"}
    shown = f"{settings!r} {settings!s} {explain(settings)}"
    assert "hush" not in shown and "hu:sh" not in shown
    assert line(settings, "database_url").value == f"postgresql+psycopg://user:{MASK}@host/name"
    assert "hush" not in refusal(database_url="mysql://user:hush@host/name")
    monkeypatch.setenv("FAULTWATCH_LAKE_STORAGE_OPTIONS", '{"AWS_SECRET_ACCESS_KEY": ["hush"]}')
    assert "hush" not in refusal()


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        Settings().port = 1


def test_made_directly_they_read_nothing_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAULTWATCH_PORT", "1")
    assert Settings().port == 8765


def test_every_setting_says_what_it_is_for() -> None:
    for told in explain(Settings()):
        assert told.description.endswith("."), told.name
        assert told.default and told.expected, told.name
        if told.name.endswith(("_s", "_ms", "_bytes", "_days", "_hours", "_rows")):
            assert told.unit, told.name


@given(name=st.sampled_from(sorted(Settings.model_fields)), text=st.text(st.characters(exclude_characters="\0")))
def test_any_text_is_taken_or_refused_by_name(name: str, text: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        try:
            patch.setenv(variable(name), text)
        except UnicodeEncodeError:
            return  # no environment holds a lone surrogate
        try:
            load_settings()
        except ConfigError as error:
            assert f"setting {name}" in str(error)
        assert os.environ[variable(name)] == text


def test_the_heartbeat_address_is_shown_without_what_makes_it_secret() -> None:
    settings = load_settings(heartbeat_url="https://me:hush@hc.example.com:8443/ping/hush?x=hush")
    assert line(settings, "heartbeat_url").value == f"https://hc.example.com:8443/{MASK}"
    assert "hush" not in repr(settings)
    assert settings.heartbeat_url == "https://me:hush@hc.example.com:8443/ping/hush?x=hush"
    for wrong in ("ftp://hc.example.com/hush", "hc.example.com/hush", "file:///hush"):
        words = refusal(heartbeat_url=wrong)
        assert "expected an address such as https://" in words and "hush" not in words
