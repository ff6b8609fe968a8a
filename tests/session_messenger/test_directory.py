"""Which nodes are spoken to."""

import random

from sessionbot_kit.channels.session_messenger.directory import MAX_SWARMS, Directory
from sessionbot_kit.channels.session_messenger.rpc import Node

A, B, C = (Node(letter * 64, f"203.0.113.{number}", 1) for number, letter in enumerate("abc"))
FAKE = Node("a" * 64, "198.51.100.66", 666)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def directory(clock: Clock | None = None) -> Directory:
    made = Directory(clock or Clock(), random.Random(0))
    made.fill([A, B, C])
    return made


def test_a_node_that_no_seed_named_is_never_spoken_to() -> None:
    assert directory().learn("me", [Node("d" * 64, "203.0.113.9", 1)]) == ()


def test_a_node_that_is_said_to_be_elsewhere_is_spoken_to_where_the_seed_says() -> None:
    assert directory().learn("me", [FAKE, B]) == (A, B)


def test_a_swarm_is_remembered_until_it_is_forgotten() -> None:
    made = directory()
    made.learn("me", [A])
    assert made.swarm("me") == (A,)
    made.forget("me")
    assert made.swarm("me") == ()


def test_a_swarm_of_strangers_does_not_take_the_place_of_a_known_one() -> None:
    made = directory()
    made.learn("me", [A])
    assert made.learn("me", []) == made.swarm("me") == ()


def test_a_new_list_of_nodes_makes_old_swarms_void() -> None:
    made = directory()
    made.learn("me", [A])
    made.fill([B])
    assert (made.pool, made.swarm("me")) == ((B,), ())


def test_only_so_many_swarms_are_remembered() -> None:
    made = directory()
    for number in range(MAX_SWARMS + 5):
        made.learn(str(number), [A])
    assert made.swarm("0") == made.swarm("4") == ()
    assert made.swarm("5") == (A,)


def test_a_node_that_failed_is_left_alone_longer_each_time() -> None:
    clock = Clock()
    made = directory(clock)
    made.blame(A)
    assert {made.choose([A, B]) for _ in range(20)} == {B}
    clock.now = 5.0
    assert {made.choose([A, B]) for _ in range(20)} == {A, B}
    made.blame(A)
    clock.now = 14.0
    assert {made.choose([A, B]) for _ in range(20)} == {B}


def test_a_node_that_answers_is_well_again() -> None:
    made = directory()
    made.blame(A)
    made.praise(A)
    assert {made.choose([A, B]) for _ in range(20)} == {A, B}


def test_when_all_failed_the_one_that_waited_longest_is_asked() -> None:
    clock = Clock()
    made = directory(clock)
    made.blame(A)
    clock.now = 1.0
    made.blame(B)
    assert made.choose([A, B]) == A
    assert made.choose([A, B], avoid=[A]) == B
    assert made.choose([A], avoid=[A]) is None


def test_no_node_is_left_alone_for_ever() -> None:
    clock = Clock()
    made = directory(clock)
    for _ in range(100):
        made.blame(A)
    clock.now = 600.0
    assert {made.choose([A, B]) for _ in range(20)} == {A, B}
