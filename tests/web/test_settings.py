"""The settings: their defaults, where they come from, and one line for each that is wrong."""

from pathlib import Path

import pytest

from lockstep.coordinator.core.policy import Policy
from lockstep.coordinator.settings import PREFIX, Settings, WrongSetting, read_settings


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Begin each test with an empty environment and folder: settings come from there and nowhere else."""
    for name in Settings.model_fields:
        monkeypatch.delenv(f"{PREFIX}{name.upper()}", raising=False)
    monkeypatch.chdir(tmp_path)


def test_without_any_setting_this_machine_is_served_from_a_file_in_the_folder() -> None:
    settings = read_settings()
    assert (settings.host, settings.port, settings.database_url) == ("127.0.0.1", 5000, "sqlite:///lockstep.db")
    assert (settings.dataservice_url, settings.reports_url, settings.cors_origins) == ("", "", ())
    assert settings.policy == Policy()


def test_settings_come_from_the_environment_and_chosen_ones_come_first(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text("LOCKSTEP_PORT=5001\nLOCKSTEP_ATTEMPTS=7\nOTHER=x\n")
    monkeypatch.setenv("LOCKSTEP_PORT", "5002")
    monkeypatch.setenv("LOCKSTEP_POLL_INTERVAL", "0.5")
    monkeypatch.setenv("LOCKSTEP_LEASE", "")
    monkeypatch.setenv("LOCKSTEP_CORS_ORIGINS", "https://a.example.org, http://b.example.org:8080")
    settings = read_settings(host="localhost")
    assert (settings.host, settings.port, settings.attempts, settings.lease) == ("localhost", 5002, 7, 15)
    assert settings.policy == Policy(attempts=7, poll_interval_s=0.5)
    assert settings.cors_origins == ("https://a.example.org", "http://b.example.org:8080")


@pytest.mark.parametrize(
    ("name", "value", "right"),
    [
        ("PORT", "http", "a whole number from 0 to 65535, such as 5000"),
        ("PORT", "65536", "a whole number from 0 to 65535, such as 5000"),
        ("DATABASE_URL", "lockstep.db", "the URL of a SQLite file or a Postgres database, such as sqlite://"),
        ("DATABASE_URL", "sqlite://", "the URL of a SQLite file"),
        ("DATASERVICE_URL", "data.example.org", "an address such as https://data.example.org"),
        ("REPORTS_URL", "https://", "an address such as https://data.example.org"),
        *[
            ("POLL_INTERVAL", wrong, "a number of seconds above 0")
            for wrong in ("0", "-1", "nan", "inf", "1e99", "soon")
        ],
        ("ATTEMPTS", "0", "a whole number from 1 to 1000, such as 3"),
        ("ATTEMPTS", "2.5", "a whole number from 1 to 1000, such as 3"),
        ("AUTH", "basic", "none or oidc"),
        ("INSECURE", "perhaps", "true or false"),
        ("CORS_ORIGINS", "https://a.example.org/", "a list such as https://portal.example.org"),
        ("CORS_ORIGINS", "portal", "a list such as https://portal.example.org"),
    ],
)
def test_a_wrong_setting_is_one_line_that_names_it(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, right: str
) -> None:
    monkeypatch.setenv(f"LOCKSTEP_{name}", value)
    with pytest.raises(WrongSetting) as caught:
        read_settings()
    line = str(caught.value)
    assert line.startswith(f"LOCKSTEP_{name} is {value!r}; it must be {right}")
    assert "\n" not in line


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "mysql://lockstep:secret@db/lockstep"),
        ("DATABASE_URL", "postgresql:/lockstep:secret@db/lockstep"),
        ("DATABASE_URL", "postgresql//lockstep:secret@db"),
        ("DATABASE_URL", "postgresql://lockstep:hash#and/secret@db"),
        ("DATABASE_URL", "mysql://db/lockstep?user=lockstep&password=secret"),
        ("REDIS_URL", "http://:secret@redis"),
        ("DATASERVICE_URL", "ftp://somebody:secret@data"),
        ("OIDC_CLIENT_SECRET", "secret" * 1000),
    ],
)
def test_a_password_in_a_wrong_address_is_not_repeated(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    """Also where the slip of the pen is in what stands around it."""
    monkeypatch.setenv(f"LOCKSTEP_{name}", value)
    with pytest.raises(WrongSetting) as caught:
        read_settings()
    assert "secret" not in str(caught.value)


def test_an_unreadable_file_of_settings_is_said_to_be() -> None:
    Path(".env").write_bytes(b"LOCKSTEP_PORT=\xff\xfe")
    with pytest.raises(WrongSetting, match="could not be read"):
        read_settings()


@pytest.mark.parametrize("limit", ["TASK_TIMEOUT", "RELEASE_TIMEOUT"])
@pytest.mark.parametrize("wait", ["POLL_INTERVAL", "REQUEST_TIMEOUT"])
def test_nothing_may_time_out_before_it_could_answer(monkeypatch: pytest.MonkeyPatch, limit: str, wait: str) -> None:
    """A service that only answers polls would otherwise fail every release, and none of them would say why."""
    monkeypatch.setenv(f"LOCKSTEP_{limit}", "60.5")
    monkeypatch.setenv(f"LOCKSTEP_{wait}", "60.5")
    with pytest.raises(WrongSetting, match=f"LOCKSTEP_{limit} is 60.5, and LOCKSTEP_{wait} is 60.5, so that"):
        read_settings()
    monkeypatch.setenv(f"LOCKSTEP_{wait}", "60")
    assert read_settings().policy.lease_s < 60


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_this_machine_is_served_without_more_ado(host: str) -> None:
    assert read_settings(host=host).loopback is True


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "coordinator"])
def test_other_machines_are_served_only_when_asked_for(host: str) -> None:
    with pytest.raises(WrongSetting, match="which other machines can reach"):
        read_settings(host=host)
    assert read_settings(host=host, insecure=True).loopback is False


def test_every_setting_tells_what_it_is_and_why_its_default_is_what_it_is() -> None:
    for name, field in Settings.model_fields.items():
        assert "Default" in (field.description or ""), name
        seconds = "Seconds" in (field.description or "")
        assert seconds is (field.annotation is float), name
