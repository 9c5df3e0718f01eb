"""Task services that are faulty on purpose: those of the field as they were found, and faults that anybody can make.

Each is the faultless service of `plain` with one step done wrong, and says which cases must name it.
"""

from tests.conformance.faulty import any_service, reference, reports, snapshot
from tests.conformance.faulty.fault import FAULTS, Fault
from tests.conformance.faulty.plain import EXPIRED, GOOD, PlainService

__all__ = ["EXPIRED", "FAULTS", "GOOD", "Fault", "PlainService", "any_service", "reference", "reports", "snapshot"]
