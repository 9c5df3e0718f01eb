"""Identifiers: two letters, and forty bits that can be read out over the telephone."""

from collections.abc import Callable
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockstep.protocol.ids import ALPHABET, ID_BITS, Prefix, is_id, make_id

NUMBERS = st.integers(0, 2**ID_BITS - 1)


def giving(number: int) -> Callable[[int], int]:
    """Chance, as it happens to give one number."""
    return lambda _: number


def test_the_alphabet_is_crockfords() -> None:
    """Digits and capitals, without the letters that look like digits or make words."""
    assert ALPHABET == "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
    assert len(set(ALPHABET)) == 32
    assert set("ILOU").isdisjoint(ALPHABET)


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "00000000"), (1, "00000001"), (31, "0000000Z"), (32, "00000010"), (2**40 - 1, "ZZZZZZZZ")],
)
def test_a_number_is_written_from_its_highest_digit(number: int, text: str) -> None:
    assert make_id(Prefix.STUDY, giving(number)) == f"SD_{text}"


@given(st.sampled_from(Prefix), NUMBERS)
def test_an_id_can_be_read_back(prefix: Prefix, number: int) -> None:
    """The number is in it whole, so that two numbers never share an id."""
    kf_id = make_id(prefix, giving(number))
    read = 0
    for letter in kf_id.removeprefix(f"{prefix}_"):
        read = read * 32 + ALPHABET.index(letter)
    assert (read, len(kf_id)) == (number, 11)


@given(st.sampled_from(Prefix), NUMBERS)
def test_what_is_made_is_an_id_of_its_kind_only(prefix: Prefix, number: int) -> None:
    kf_id = make_id(prefix, giving(number))
    assert is_id(kf_id)
    assert [other for other in Prefix if is_id(kf_id, other)] == [prefix]


@given(st.lists(NUMBERS, unique=True, max_size=200))
def test_different_numbers_have_different_ids(numbers: list[int]) -> None:
    assert len({make_id(Prefix.TASK, giving(number)) for number in numbers}) == len(numbers)


def test_chance_is_asked_for_forty_bits() -> None:
    """Once for each id, so that a seed gives the same ids every time."""
    asked: list[int] = []
    random = Random(7)

    def random_bits(bits: int) -> int:
        asked.append(bits)
        return random.getrandbits(bits)

    first = [make_id(Prefix.EVENT, random_bits) for _ in range(3)]
    again = Random(7)
    assert first == [make_id(Prefix.EVENT, again.getrandbits) for _ in range(3)]
    assert asked == [40] * 3


@pytest.mark.parametrize(
    "text",
    [
        "",
        "RE_0000000",
        "RE_000000000",
        "RE-00000000",
        "re_00000000",
        "RE_0000000I",
        "RE_0000000L",
        "RE_0000000O",
        "RE_0000000U",
        "RE_0000000a",
        "R_00000000",
        "REL_00000000",
        "RE_00000000\n",
        " RE_00000000",
        "RE_0000000٣",
        None,
        7,
        b"RE_00000000",
        ["RE_00000000"],
    ],
)
def test_what_is_no_id(text: object) -> None:
    assert not is_id(text)
    assert not is_id(text, Prefix.RELEASE)


@given(st.text(max_size=12))
def test_no_other_text_is_an_id(text: str) -> None:
    expected = len(text) == 11 and text[:2].isascii() and text[:2].isalpha() and text[:2].isupper()
    expected = expected and text[2] == "_" and set(text[3:]) <= set(ALPHABET)
    assert is_id(text) is expected
