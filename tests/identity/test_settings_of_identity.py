"""The settings of identity: what belongs together, and what is never shown."""

from pathlib import Path
from typing import Any

import pytest

from lockstep.coordinator.settings import PREFIX, Settings, WrongSetting, read_settings

OIDC = {"auth": "oidc", "oidc_issuer": "https://login.example.org/", "oidc_audience": "lockstep"}


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"{PREFIX}{name.upper()}", raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("chosen", "sentence"),
    [
        ({"auth": "oidc"}, "LOCKSTEP_AUTH is oidc, which needs LOCKSTEP_OIDC_ISSUER too."),
        (OIDC | {"oidc_audience": ""}, "LOCKSTEP_AUTH is oidc, which needs LOCKSTEP_OIDC_AUDIENCE too."),
        (OIDC | {"oidc_issuer": "http://login.example.org"}, "whose keys anybody on the way could replace"),
        (OIDC | {"oidc_algorithm": "HS256"}, "it must be RS256, RS384"),
        (OIDC | {"oidc_algorithm": "none"}, "it must be RS256, RS384"),
        (OIDC | {"oidc_service_claim": "gty"}, "it must be a claim and a value with = between them"),
        (OIDC | {"secret": "short"}, "it must be a text of 32 characters or more that nobody can guess"),
        ({"host": "0.0.0.0"}, "without identity anyone there could publish"),
    ],
)
def test_what_does_not_belong_together_is_one_line(chosen: dict[str, Any], sentence: str) -> None:
    with pytest.raises(WrongSetting) as caught:
        read_settings(**chosen)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_with_identity_other_machines_are_served() -> None:
    settings = read_settings(**OIDC, host="0.0.0.0")
    assert (settings.oidc_issuer, settings.loopback) == ("https://login.example.org", False)


@pytest.mark.parametrize("issuer", ["http://127.0.0.1:9400", "http://localhost:9400"])
def test_an_issuer_on_this_machine_needs_no_https(issuer: str) -> None:
    assert read_settings(**OIDC | {"oidc_issuer": issuer}).oidc_issuer == issuer


@pytest.mark.parametrize(
    ("chosen", "allowed"),
    [
        ({}, True),
        ({"allow_private_urls": False}, False),
        (OIDC, False),
        (OIDC | {"allow_private_urls": True}, True),
    ],
)
def test_private_addresses_are_called_where_nobody_asks_who_callers_are(chosen: dict[str, Any], allowed: bool) -> None:
    assert read_settings(**chosen).private_urls_allowed is allowed


def test_secrets_are_not_shown() -> None:
    with pytest.raises(WrongSetting) as caught:
        read_settings(**OIDC, secret="tell-nobody")
    assert "tell-nobody" not in str(caught.value)
    shown = repr(read_settings(**OIDC, oidc_client_secret="tell-nobody", secret="tell-nobody" * 4))
    assert "tell-nobody" not in shown
