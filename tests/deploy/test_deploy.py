"""What the files for deployment name exists: commands, options, settings, ports, paths, extras."""

import re
import shlex
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from configparser import ConfigParser
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import pytest
import typer
import yaml

from lockstep.cli.app import app
from lockstep.coordinator.metrics import Metrics
from lockstep.coordinator.settings import Settings, read_settings
from lockstep.coordinator.web.rest.probes import OPERATIONS
from lockstep.reports.settings import ReportsSettings

ROOT: Final = Path(__file__).parents[2]
DEPLOY: Final = ROOT / "deploy"
FILES: Final = [ROOT / "docker-compose.yml", *(path for path in sorted(DEPLOY.rglob("*")) if path.is_file())]
COMPOSE: Final = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: Final[dict[str, dict[str, Any]]] = COMPOSE["services"]
OURS: Final = {name: service for name, service in SERVICES.items() if service["image"] == "lockstep"}
ONCE: Final = {"migrate", "reports-tables"}
PORTS: Final = {"coordinator": 5000, "reference": 8282, "reports": 5020, "dataservice": 5100}
MANIFESTS: Final = [
    document
    for path in sorted((DEPLOY / "kubernetes").glob("*.yaml"))
    for document in yaml.safe_load_all(path.read_text())
]
UNITS: Final = sorted((DEPLOY / "systemd").glob("*.service"))
SETTING: Final = re.compile(r"\bLOCKSTEP_[A-Z_]*[A-Z]\b")


def parsed(arguments: list[str]) -> str:
    """Have the command line read the arguments of `lockstep`, and return the command that they name."""
    command: Any = typer.main.get_command(app)
    with command.make_context("lockstep", list(arguments)) as context:
        rest = [*context._protected_args, *context.args]
    names = []
    while rest and rest[0] in getattr(command, "commands", {}):
        names.append(rest[0])
        command = command.commands[rest[0]]
        with command.make_context(rest[0], rest[1:]) as context:
            rest = [*getattr(context, "_protected_args", ()), *context.args] if hasattr(command, "commands") else []
    assert names, f"there is no command {arguments}"
    assert rest == []
    return " ".join(names)


def known_settings() -> set[str]:
    """Return the environment variables that coordinators and reports read."""
    return {f"LOCKSTEP_{name.upper()}" for fields in (Settings, ReportsSettings) for name in fields.model_fields}


@pytest.mark.parametrize("path", [*FILES, ROOT / "docs/operate.md"], ids=lambda path: path.name)
def test_every_setting_that_is_named_is_read_by_somebody(path: Path) -> None:
    assert set(SETTING.findall(path.read_text())) <= known_settings()


def test_compose_runs_commands_that_there_are() -> None:
    """The image's entry point is `lockstep`, so that a service's command is what follows it."""
    assert {name: parsed(service["command"]) for name, service in OURS.items()} == {
        "migrate": "migrate",
        "coordinator": "serve",
        "worker": "worker",
        "reference": "reference",
        "reports": "reports",
        "reports-tables": "reports create-tables",
        "dataservice": "dataservice",
    }


def test_compose_is_the_set_that_is_promised() -> None:
    """The ports where everybody looks, on this machine alone; two workers; nothing stays down or is not looked at."""
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert published == {name: [f"127.0.0.1:{port}:{port}"] for name, port in PORTS.items()}
    assert SERVICES["worker"]["deploy"]["replicas"] == 2
    assert {name for name, service in SERVICES.items() if service["restart"] == "unless-stopped"} == {*SERVICES} - ONCE
    assert {name for name, service in SERVICES.items() if "healthcheck" not in service} == ONCE
    assert {tuple(service["networks"]) for service in SERVICES.values()} == {tuple(COMPOSE["networks"])}
    mounted = {volume.split(":")[0] for service in SERVICES.values() for volume in service.get("volumes", ())}
    assert mounted == set(COMPOSE["volumes"])
    waited_for = {other for service in SERVICES.values() for other in service.get("depends_on", ())}
    assert waited_for <= set(SERVICES)


def test_health_checks_of_compose_ask_what_is_answered_where_it_is_answered() -> None:
    asked = {name: urlsplit(service["healthcheck"]["test"][-1]) for name, service in OURS.items() if name not in ONCE}
    assert {name: address.port for name, address in asked.items()} == {**PORTS, "worker": 5001}
    assert OURS["worker"]["environment"]["LOCKSTEP_WORKER_PORT"] == 5001
    paths = {name: address.path for name, address in asked.items()}
    assert paths == {name: "/readyz" if name in {"coordinator", "worker"} else "/status" for name in asked}


@pytest.mark.parametrize("name", ["coordinator", "worker", "migrate"])
def test_settings_of_compose_are_good_ones(name: str) -> None:
    """As compose fills them in where nothing is set: the coordinator starts with them."""
    environment = OURS[name]["environment"]
    filled = {key: re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", str(value)) for key, value in environment.items()}
    chosen = {key.removeprefix("LOCKSTEP_").lower(): value for key, value in filled.items() if value}
    settings = read_settings(_env_file=None, **chosen)
    assert (settings.host, settings.insecure, settings.private_urls_allowed) == ("0.0.0.0", True, True)
    assert settings.database_url == "postgresql://lockstep:lockstep@postgres:5432/lockstep"
    hosts = {urlsplit(url).hostname for url in (settings.redis_url, settings.dataservice_url, settings.reports_url)}
    assert hosts <= set(SERVICES)


@pytest.mark.skipif(
    not shutil.which("docker")
    or subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode != 0,
    reason="docker compose is not installed",
)
def test_docker_compose_understands_it() -> None:
    subprocess.run(["docker", "compose", "--file", ROOT / "docker-compose.yml", "config", "--quiet"], check=True)


def test_the_image_is_made_as_this_checkout_is() -> None:
    dockerfile = (DEPLOY / "Dockerfile").read_text()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert re.findall(r"\buv==\S+", dockerfile) == [one for one in project["dependency-groups"]["dev"] if "uv==" in one]
    extras = set(re.findall(r"--extra (\S+)", dockerfile))
    of_other_programs = {"wsgi"}
    assert extras == set(project["project"]["optional-dependencies"]) - of_other_programs
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", dockerfile, re.MULTILINE)
    let_in = re.findall(r"^!(\S+)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE)
    assert sorted(" ".join(copied).split()) == sorted(let_in)
    assert [name for name in let_in if not (ROOT / name).exists()] == []
    assert re.findall(r"^USER (\S+)$", dockerfile, re.MULTILINE) == ["10001"]
    assert parsed(["serve"]) == "serve"
    assert re.findall(r"^CMD (.+)$", dockerfile, re.MULTILINE) == ['["serve"]']


def containers() -> Iterator[tuple[str, int, dict[str, Any], dict[str, Any]]]:
    """Yield kind, replicas, the pod and its container of every manifest that runs something."""
    for manifest in MANIFESTS:
        if manifest["kind"] in {"Deployment", "Job"}:
            pod = manifest["spec"]["template"]["spec"]
            for container in pod["containers"]:
                yield manifest["kind"], manifest["spec"].get("replicas", 1), pod, container


def test_kubernetes_runs_two_of_each_and_a_migration() -> None:
    found = {parsed(container["args"]): (kind, replicas) for kind, replicas, _, container in containers()}
    assert found == {"serve": ("Deployment", 2), "worker": ("Deployment", 2), "migrate": ("Job", 1)}
    assert {pod["securityContext"]["runAsUser"] for _, _, pod, _ in containers()} == {10001}


def test_kubernetes_probes_ask_what_is_answered_where_it_is_answered() -> None:
    answered = {operation.path for operation in OPERATIONS}
    settings = next(manifest["data"] for manifest in MANIFESTS if manifest["kind"] == "ConfigMap")
    ports = {"serve": Settings.model_fields["port"].default, "worker": int(settings["LOCKSTEP_WORKER_PORT"])}
    for kind, _, _, container in containers():
        probes = [container[name]["httpGet"] for name in container if name.endswith("Probe")]
        assert {probe["path"] for probe in probes} <= answered
        assert len(probes) == (0 if kind == "Job" else 3)
        for probe in probes:
            named = {port["name"]: port["containerPort"] for port in container["ports"]}
            assert named[probe["port"]] == ports[container["args"][0]]


def test_settings_of_kubernetes_are_good_ones() -> None:
    """Those of the map and of the example of a secret together: with identity, for other machines."""
    given = {
        name: value
        for manifest in MANIFESTS
        if manifest["kind"] in {"ConfigMap", "Secret"}
        for name, value in {**manifest.get("data", {}), **manifest.get("stringData", {})}.items()
    }
    chosen = {name.removeprefix("LOCKSTEP_").lower(): value for name, value in given.items()}
    settings = read_settings(_env_file=None, **chosen)
    assert (settings.auth, settings.insecure, settings.loopback) == ("oidc", False, False)


@pytest.mark.skipif(not shutil.which("kubectl"), reason="kubectl is not installed")
def test_kubectl_puts_the_manifests_together() -> None:
    done = subprocess.run(["kubectl", "kustomize", DEPLOY / "kubernetes"], capture_output=True, text=True, check=True)
    kinds = sorted(document["kind"] for document in yaml.safe_load_all(done.stdout))
    assert kinds == sorted(manifest["kind"] for manifest in MANIFESTS if manifest["kind"] != "Kustomization")


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_units_run_commands_that_there_are(path: Path) -> None:
    unit = ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(path)
    service = unit["Service"]
    program, *arguments = shlex.split(service["ExecStart"])
    assert program == "/opt/lockstep/.venv/bin/lockstep"
    assert parsed(arguments) == ("serve" if path.name == "lockstep.service" else "worker")
    assert (service["User"], service["Restart"]) == ("lockstep", "always")
    assert service["EnvironmentFile"] == "/etc/lockstep/lockstep.env"


def test_settings_of_the_units_are_good_ones() -> None:
    """Those that hold, and each of those that are commented out."""
    text = (DEPLOY / "systemd/lockstep.env").read_text()
    for lines in (
        re.findall(r"^LOCKSTEP_.*$", text, re.MULTILINE),
        re.findall(r"^#?(LOCKSTEP_.*)$", text, re.MULTILINE),
    ):
        pairs = dict(line.removeprefix("LOCKSTEP_").split("=", 1) for line in lines)
        settings = read_settings(_env_file=None, **{name.lower(): value for name, value in pairs.items() if value})
        assert settings.loopback


def test_alarms_are_set_on_metrics_that_there_are() -> None:
    """The page for operators names metrics that the coordinator shows."""
    shown = Metrics("").render().decode()
    named = set(re.findall(r"`(lockstep_[a-z_]+)", (ROOT / "docs/operate.md").read_text()))
    assert len(named) > 4
    assert [name for name in named if name not in shown] == []


def test_commands_that_operators_are_told_to_type_there_are() -> None:
    text = (ROOT / "docs/operate.md").read_text()
    typed = re.findall(r"^(?:\$ |docker compose exec coordinator )(lockstep .+)$", text, re.MULTILINE)
    typed += re.findall(r"`(lockstep [^`]+)`", text)
    assert len(typed) > 8
    for line in typed:
        words = shlex.split(line)[1:]
        if words not in (["check"], ["serve"], ["worker"]):
            parsed(words)
