"""The rules that a task service is held to: numbers and sentences of the rule book, section "What a task service does".

The sentences are those of `docs/rules.md` to the letter (a test compares them). They stand here as well because the
command shows them where there is no documentation at hand.
"""

from collections.abc import Mapping
from typing import Final

RULES: Final[Mapping[str, str]] = {
    "K1": "`GET /status` is answered 200 with JSON that holds a `name`, whoever asks.",
    "K2": "An action that is accepted is answered 200 with a JSON object that holds the task's `state` after it, "
    "and `get_status` tells the state as it is.",
    "K3": "The words for the states are `pending`, `running`, `staged`, `publishing`, `published`, `failed` and "
    "`canceled`.",
    "K4": "`progress` is a whole number from 0 to 100 that does not fall within a step.",
    "K5": "An answer names the task and the release that it is about, as `task_id` and `release_id`.",
    "K6": "Every request is answered within a second, also while the task is at work.",
    "K7": "What cannot be done is refused with a status from 400 to 499 and JSON that says why; a status of 500 or "
    "above, or a connection that breaks, is a fault of the service.",
    "K8": "A task that was started becomes `staged` or `failed` by itself, and one that was told to publish "
    "`published` or `failed`.",
    "K9": "Whatever is asked of a task that was never initialized is refused with 404, and the task does not come "
    "into being by it.",
    "K10": "`publish` is refused until the task is `staged`, and changes nothing.",
    "K11": "`cancel` is answered with a status below 500 in every state, and a task that is not published yet "
    "becomes `canceled` by it and stays so.",
    "K12": "What is canceled or failed is never begun again: `initialize`, `start` and `publish` are refused.",
    "K13": "A body that is no request is refused with 400, changes nothing, and does no harm to the service.",
    "K14": "Tasks know nothing of each other: what is done to one changes nothing about another.",
    "K15": "A report is a `PATCH` to `/tasks/{id}` with a JSON object that holds the task's `state` as `get_status` "
    "tells it.",
    "K16": "Work that cannot be done ends in `failed`, and what is staged of a study is all of it and nothing else.",
    "K17": "A service that wants an identity refuses every action that comes with none, with a forged one or with "
    "one that has expired by 401 or 403, and changes nothing.",
    "K18": "An action that is repeated is answered 200 with the state as it is; it sends the task back nowhere and "
    "begins no work anew.",
    "K19": "The same action that comes several times at once has the effect of one.",
    "K20": "An action whose answer was lost has been done, or can be done by asking again.",
    "K21": "A report that is lost, late or refused changes nothing about the work.",
    "K22": "A state whose report got no answer, or a 5xx, is reported again.",
    "K23": "What is published stays published, whatever is asked.",
    "K24": "After a restart every task is known, in the state that it was in.",
    "K25": "Work that a restart cut off is taken up again by itself and comes to its end.",
    "K26": "The service keeps the highest `epoch` that a request for the task came with, and names it as `epoch` in "
    "its answers.",
    "K27": "A request with a lower `epoch` is refused with 409 and the task's `epoch`, whatever it asks, and changes "
    "nothing.",
    "K28": "Requests without an `epoch` are taken as ever; one that is no whole number from 0 is refused with 400.",
    "K29": "The epochs outlive a restart.",
}
