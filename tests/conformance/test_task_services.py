"""The task services of the house, each in a process that is killed while it works, reach the highest level."""

import sys
from pathlib import Path
from typing import Any

import pytest

from lockstep.stack.processes import free_ports
from lockstep.taskkit.conformance import Report
from tests.coordination import Killable

REFERENCE = "from pathlib import Path; from lockstep.reference import make_service"
REPORTS = "from lockstep.reports.service import make_service"
SNAPSHOT = "from lockstep.snapshot.service import make_service"


def made(imports: str, make: str, folder: Path) -> Killable:
    """A service that is made by a few words of Python, in a process of its own."""
    return Killable(lambda port: [sys.executable, "-c", f"{imports}; make_service({make}).run(port={port})"], folder)


def found(report: Report) -> tuple[int, dict[str, Any], list[str]]:
    return report.level, {name: report.tallies[name].findings for name in report.failed()}, report.notes


@pytest.mark.rule("K1", "K2", "K3", "K4", "K5", "K6", "K7", "K8", "K9", "K10", "K11", "K12", "K13", "K14", "K15", "K16")
@pytest.mark.rule("K18", "K19", "K20", "K21", "K22", "K23", "K24", "K25", "K26", "K27", "K28", "K29")
def test_the_reference_reaches_level_3(tmp_path: Path) -> None:
    """Nothing is found, and everything was looked at that can be looked at without an identity."""
    (port,) = free_ports(1)
    make = f"Path({str(tmp_path)!r}), coordinator_url='http://127.0.0.1:{port}'"
    service = made(REFERENCE, make, tmp_path)
    report = service.checked(port, restart=service.restart)
    assert found(report) == (3, {}, [])
    unseen = {name for name, tally in report.tallies.items() if not tally.passed}
    of_identity = {"identity-missing", "identity-forged", "identity-expired", "report-has-identity"}
    assert unseen == {*of_identity, "pages-keep-filters"}


@pytest.mark.parametrize("imports", [REPORTS, SNAPSHOT], ids=["reports", "snapshot"])
def test_the_other_services_reach_level_3(imports: str, tmp_path: Path) -> None:
    """Release reports and snapshots read the played data service and the played coordinator."""
    (port,) = free_ports(1)
    played = f"http://127.0.0.1:{port}"
    make = f"folder={str(tmp_path)!r}, coordinator_url={played!r}, dataservice_url={played!r}"
    service = made(imports, make, tmp_path)
    report = service.checked(port, restart=service.restart)
    assert found(report) == (3, {}, [])
    assert (imports is SNAPSHOT) == bool(report.tallies["pages-keep-filters"].passed)
