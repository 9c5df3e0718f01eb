"""The conformance test: does a task service, in whatever language, do what the rules ask of it?

It talks to the service as a coordinator does, plays the coordinator and the data service for it (`played`), and takes
it through scenes (`scenes`): a whole life, everything in the wrong order, everything twice, answers and reports that
are lost. What it sees decides about cases (`cases`), each of which stands for a rule of the rule book (`rules`). What
was found (`findings`) is shown as text, JSON, JUnit's XML or Markdown (`presentation`).

    report = asyncio.run(check("http://127.0.0.1:8282"))
    assert report.reaches(1), report.failed()

`lockstep check` is its command. It needs nothing of the service but its address, and knows nothing of the coordinator's
code: the protocol is all that both have in common.
"""

from lockstep.taskkit.conformance.cases import CASES, LEVELS, Case, Force
from lockstep.taskkit.conformance.findings import Finding, Report, Tally, Verdict
from lockstep.taskkit.conformance.options import Options
from lockstep.taskkit.conformance.runner import NotReachable, check
from lockstep.taskkit.conformance.scenes.restarts import RestartFailed

__all__ = [
    "CASES",
    "LEVELS",
    "Case",
    "Finding",
    "Force",
    "NotReachable",
    "Options",
    "Report",
    "RestartFailed",
    "Tally",
    "Verdict",
    "check",
]
