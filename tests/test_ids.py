import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessionbot_kit.ids import new_id, uuid7

times = st.integers(min_value=0, max_value=2**48 - 1)
chances = st.binary(min_size=10, max_size=10)


@given(times, chances)
def test_an_id_is_a_uuid_of_version_7(time: int, chance: bytes) -> None:
    made = uuid.UUID(uuid7(time, chance))
    assert (made.version, made.variant) == (7, uuid.RFC_4122)


@given(times, times, chances, chances)
def test_ids_sort_by_their_time(a: int, b: int, one: bytes, two: bytes) -> None:
    if a < b:
        assert uuid7(a, one) < uuid7(b, two)


@given(times, chances)
def test_an_id_holds_its_time_and_74_bits_of_chance(time: int, chance: bytes) -> None:
    value = uuid.UUID(uuid7(time, chance)).int
    drawn = int.from_bytes(chance, "big")
    assert value >> 80 == time
    assert value >> 64 & 0xFFF == drawn >> 68
    assert value & (1 << 62) - 1 == drawn & (1 << 62) - 1


def test_the_random_part_must_be_whole() -> None:
    with pytest.raises(ValueError) as refused:
        uuid7(0, b"short")
    assert str(refused.value) == "uuid7 takes 10 random bytes, not 5"


def test_new_ids_differ() -> None:
    assert len({new_id() for _ in range(1000)}) == 1000
