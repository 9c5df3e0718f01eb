"""Each fault that services of the field have is found and named, and a service without one passes."""

import asyncio

import pytest

from lockstep.stack.processes import free_ports
from lockstep.taskkit.conformance import CASES, Options, Report, check
from tests.conformance.faulty import EXPIRED, FAULTS, GOOD, Fault, PlainService
from tests.conftest import Serve
from tests.coordination import UNHURRIED


def checked(serve: Serve, service: type[PlainService], **options: object) -> Report:
    """Serve a service and check it."""

    async def scene() -> Report:
        (port,) = free_ports(1)
        subject = service(f"http://127.0.0.1:{port}")
        identity = {"token": GOOD, "expired_token": EXPIRED} if service.wants_identity else {}
        chosen = UNHURRIED | {"settle_s": 0.5} | identity | options
        async with serve(subject.app) as url:
            report = await check(url, Options(port=port, restart=subject.restart, **chosen))
            await subject.restart()
            return report

    return asyncio.run(scene())


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_is_found_and_named(serve: Serve, fault: Fault) -> None:
    """The cases that the fault is about fail, no others do, and each finding says what was seen."""
    report = checked(
        serve,
        fault.service,
        only=fault.scenes,
        **fault.limits,
    )
    found = {name: report.tallies[name].findings for name in report.failed()}
    assert sorted(fault.cases) == sorted(found), "\n".join(map(str, found.items()))
    assert all(finding.seen.endswith(".") for findings in found.values() for finding in findings)


def test_every_case_has_a_service_that_fails_it() -> None:
    """A case that nothing can fail would prove nothing."""
    assert sorted(CASES) == sorted({name for fault in FAULTS for name in fault.cases})


class WantsToKnow(PlainService):
    """The faultless service, where an identity is wanted."""

    wants_identity = True


@pytest.mark.rule("K17")
@pytest.mark.parametrize("service", [PlainService, WantsToKnow])
def test_a_service_without_a_fault_passes(serve: Serve, service: type[PlainService]) -> None:
    """Nothing is found, and all four levels are reached."""
    report = checked(serve, service)
    found = {name: report.tallies[name].findings for name in report.failed()}
    assert (report.level, found, report.notes) == (3, {}, [])
