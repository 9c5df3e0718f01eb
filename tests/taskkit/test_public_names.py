"""What may be imported from the kit's two other doors is what is promised, and all of it says what it is."""

import lockstep.taskkit.conformance
import lockstep.taskkit.testing
import lockstep.taskkit.wsgi


def test_the_names_for_tests() -> None:
    promised = {"Rehearsal", "Treatment", "rehearsal"}
    assert set(lockstep.taskkit.testing.__all__) == promised
    assert [name for name in promised if not getattr(lockstep.taskkit.testing, name).__doc__] == []


def test_the_name_for_wsgi() -> None:
    assert lockstep.taskkit.wsgi.__all__ == ["WsgiService"]


def test_the_names_for_checks() -> None:
    promised = {"CASES", "LEVELS", "Case", "Finding", "Force", "NotReachable", "Options", "Report", "RestartFailed"}
    assert set(lockstep.taskkit.conformance.__all__) == promised | {"Tally", "Verdict", "check"}
