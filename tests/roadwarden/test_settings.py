from __future__ import annotations

from pathlib import Path

import pytest

from roadwarden.settings import Settings, SettingsError, load_settings, settings_table, unknown_environment


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder without a settings file, and no settings in the environment."""
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(f"ROADWARDEN_{name.upper()}", raising=False)
    return tmp_path


def test_the_defaults_are_the_contracts() -> None:
    settings = load_settings()
    assert (settings.jt808_port, settings.http_port, settings.jt809_port) == (6808, 8080, 6809)
    assert settings.database_url is None
    assert settings.enrolment == "approve"
    assert settings.data_dir.is_absolute()


def test_environment_wins_over_file(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (elsewhere / "roadwarden.toml").write_text("http_port = 9000\njt808_port = 9001\n")
    monkeypatch.setenv("ROADWARDEN_HTTP_PORT", "9002")
    settings = load_settings()
    assert (settings.http_port, settings.jt808_port) == (9002, 9001)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ROADWARDEN_JT808_PORT", "99999"),
        ("ROADWARDEN_JT808_PORT", "many"),
        ("ROADWARDEN_ENROLMENT", "maybe"),
        ("ROADWARDEN_OFFLINE_AFTER_S", "-1"),
    ],
)
def test_a_wrong_value_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=f"{name}.*{value}"):
        load_settings()


def test_an_unknown_key_in_the_file_is_named(elsewhere: Path) -> None:
    (elsewhere / "roadwarden.toml").write_text("htp_port = 9000\n")
    with pytest.raises(SettingsError, match="HTP_PORT=9000: there is no such setting"):
        load_settings()


def test_a_broken_file_is_an_error_not_a_traceback(elsewhere: Path) -> None:
    (elsewhere / "roadwarden.toml").write_text("http_port = \n")
    with pytest.raises(SettingsError, match=r"roadwarden\.toml"):
        load_settings()


def test_a_broken_file_is_named_as_it_is(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (elsewhere / "site.toml").write_text("http_port = \n")
    monkeypatch.setenv("ROADWARDEN_CONFIG", "site.toml")
    with pytest.raises(SettingsError, match=r"^site\.toml: "):
        load_settings()
    monkeypatch.setenv("ROADWARDEN_CONFIG", "")  # as if it were not set
    assert load_settings().http_port == 8080


@pytest.mark.parametrize("url", ["elsewhere", "postgresql://someone:a-secret@[host/name", "host=x a-secret"])
def test_a_database_address_that_is_none_is_named_and_not_shown(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROADWARDEN_DATABASE_URL", url)
    with pytest.raises(SettingsError, match=r"ROADWARDEN_DATABASE_URL: .*postgresql://") as caught:
        load_settings()
    assert "a-secret" not in str(caught.value)


def test_origins_are_as_browsers_write_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROADWARDEN_ALLOWED_ORIGINS", '["https://centre.example", "http://10.0.0.7:8443"]')
    assert load_settings().allowed_origins == ["https://centre.example", "http://10.0.0.7:8443"]
    for wrong in ('["https://centre.example/"]', '["centre.example"]', '["ftp://centre.example"]', '["*"]'):
        monkeypatch.setenv("ROADWARDEN_ALLOWED_ORIGINS", wrong)
        with pytest.raises(SettingsError, match=r"ALLOWED_ORIGINS.*is no origin"):
            load_settings()
    monkeypatch.setenv("ROADWARDEN_ALLOWED_ORIGINS", "https://centre.example")
    with pytest.raises(SettingsError, match=r'^ROADWARDEN_ALLOWED_ORIGINS: .*write it so: \["https'):
        load_settings()


def test_the_only_setting_that_is_json_is_the_one_that_the_error_names() -> None:
    assert [name for name, field in Settings.model_fields.items() if "list" in str(field.annotation)] == [
        "allowed_origins"
    ]


def test_a_missing_named_file_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROADWARDEN_CONFIG", "/nowhere/at-all.toml")
    with pytest.raises(SettingsError, match="no such file"):
        load_settings()


def test_a_misspelt_environment_name_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROADWARDEN_HTP_PORT", "1")
    assert "ROADWARDEN_HTP_PORT" in unknown_environment()


def test_secrets_are_not_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROADWARDEN_DATABASE_URL", "postgresql://someone:a-secret@host/name")
    assert "a-secret" not in repr(load_settings())


def test_the_readme_has_every_setting() -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    for line in settings_table().splitlines():
        assert line in readme, f"README.md lacks, or words differently: {line}"


def test_a_tls_port_needs_a_certificate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROADWARDEN_JT808_TLS_PORT", "6810")
    with pytest.raises(SettingsError, match="JT808_TLS_CERTIFICATE"):
        load_settings()
    monkeypatch.setenv("ROADWARDEN_JT808_TLS_CERTIFICATE", "server.pem")
    assert load_settings().jt808_tls_certificate == Path("server.pem")


def test_proxies_are_addresses_and_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROADWARDEN_JT808_PROXIES", "10.0.0.7, 192.168.0.0/24,fd00::/8")
    assert load_settings().jt808_proxies == "10.0.0.7, 192.168.0.0/24,fd00::/8"
    monkeypatch.setenv("ROADWARDEN_JT808_PROXIES", "balancer.example")
    with pytest.raises(SettingsError, match="JT808_PROXIES"):
        load_settings()
