"""What follows from each try to announce an event: pure, with the time as an argument."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from lockstep.coordinator.core.announcing import (
    DAY,
    LONGEST_PAUSE_S,
    Delivery,
    DeliveryState,
    Outcome,
    Receiver,
    ReceiverKind,
    pause,
    tried_aside,
    tried_in_line,
)
from lockstep.coordinator.core.model import EventType
from lockstep.coordinator.core.records import Event

NOW = datetime(2026, 3, 4, tzinfo=UTC)
RECEIVER = Receiver("WH_00000001", ReceiverKind.WEBHOOK, "http://receiver", NOW, cursor=6, secret="new")
EVENT = Event(7, "EV_00000001", EventType.INFO, "it happened", NOW)
OWED = Delivery(EVENT, NOW)
TAKEN, SILENT = Outcome(taken=True, status=204), Outcome(taken=False, error="no answer")


def test_what_is_taken_lets_the_line_go_on() -> None:
    held = replace(RECEIVER, failures=3, held_until=NOW)
    receiver, delivery = tried_in_line(held, OWED, TAKEN, NOW)
    assert receiver == replace(RECEIVER, cursor=7)
    assert (delivery.state, delivery.attempts, delivery.status) == (DeliveryState.DELIVERED, 1, 204)


def test_pauses_grow_up_to_an_hour_and_are_no_shorter_than_was_asked_for() -> None:
    seconds = [pause(failures).total_seconds() for failures in (1, 2, 3, 6, 7, 500)]
    assert seconds == [5, 15, 45, 1215, LONGEST_PAUSE_S, LONGEST_PAUSE_S]
    assert [pause(1, asked).total_seconds() for asked in (1, 60, 1e9)] == [5, 60, LONGEST_PAUSE_S]


@pytest.mark.parametrize("status", [None, 301, 401, 403, 404, 429, 502, 503, 504])
def test_the_line_is_held_for_a_receiver_that_is_away_however_often_it_was_tried(status: int | None) -> None:
    receiver, delivery, now = RECEIVER, OWED, NOW
    for tries in range(1, 10):
        receiver, delivery = tried_in_line(receiver, delivery, Outcome(taken=False, status=status), now)
        assert (receiver.cursor, receiver.failures, delivery.due_at) == (6, tries, None)
        assert receiver.held_until == now + pause(tries)
        now = receiver.held_until


@pytest.mark.parametrize("status", [400, 409, 413, 415, 422, 500])
def test_an_event_that_a_receiver_chokes_on_is_set_aside_at_the_fifth_try(status: int) -> None:
    receiver, delivery, now = RECEIVER, OWED, NOW
    for _ in range(4):
        receiver, delivery = tried_in_line(receiver, delivery, Outcome(taken=False, status=status), now)
        assert receiver.cursor == 6
        now = receiver.held_until or now
    receiver, delivery = tried_in_line(receiver, delivery, Outcome(taken=False, status=status), now)
    assert (receiver.cursor, receiver.failures, receiver.held_until) == (7, 0, None)
    assert (delivery.state, delivery.attempts, delivery.due_at) == (DeliveryState.WAITING, 5, now + pause(5))


def test_after_a_day_a_try_in_vain_gives_up_and_the_next_is_tried_at_once() -> None:
    held = replace(RECEIVER, failures=30)
    receiver, delivery = tried_in_line(held, replace(OWED, attempts=30), SILENT, NOW + DAY)
    assert (receiver.cursor, receiver.failures, receiver.held_until) == (7, 31, None)
    assert (delivery.state, delivery.error) == (DeliveryState.GIVEN_UP, "no answer")
    _, delivery = tried_aside(RECEIVER, OWED, SILENT, NOW + DAY)
    assert (delivery.state, delivery.due_at) == (DeliveryState.GIVEN_UP, None)


def test_what_was_set_aside_is_tried_by_its_own_count_and_does_not_hold_the_line() -> None:
    receiver, delivery = tried_aside(RECEIVER, replace(OWED, attempts=5), SILENT, NOW)
    assert receiver == RECEIVER
    assert (delivery.attempts, delivery.due_at) == (6, NOW + pause(6))
    assert tried_aside(RECEIVER, delivery, TAKEN, NOW)[1].state is DeliveryState.DELIVERED


def test_410_switches_the_receiver_off() -> None:
    for tried in (tried_in_line, tried_aside):
        receiver, delivery = tried(RECEIVER, OWED, Outcome(taken=False, status=410), NOW)
        assert (receiver.enabled, delivery.state) == (False, DeliveryState.GIVEN_UP)
        assert "410" in receiver.disabled_because


def test_after_a_new_secret_the_old_one_signs_too_for_a_day() -> None:
    rotated = replace(RECEIVER, old_secret="old", old_secret_until=NOW + DAY)
    assert rotated.secrets(NOW + DAY - timedelta(seconds=1)) == ("new", "old")
    assert rotated.secrets(NOW + DAY) == ("new",)
    assert RECEIVER.secrets(NOW) == ("new",)
