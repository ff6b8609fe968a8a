import asyncio

from sessionbot_kit.events import Failed, Feed


def failure(turn: str, session: str = "s") -> Failed:
    return Failed(turn=turn, session=session, error="on purpose")


async def test_a_watcher_sees_what_happens_in_order() -> None:
    feed = Feed()
    watch = feed.open()
    feed.tell(failure("1"))
    feed.tell(failure("2"))
    assert [(await watch.next()).turn for _ in range(2)] == ["1", "2"]


async def test_a_watcher_of_one_session_sees_no_other() -> None:
    feed = Feed()
    watch = feed.open("mine")
    feed.tell(failure("1", "other"))
    feed.tell(failure("2", "mine"))
    assert (await watch.next()).turn == "2"


async def test_a_slow_watcher_loses_the_oldest_and_knows_how_many() -> None:
    feed = Feed(limit=3)
    watch = feed.open()
    for turn in range(10):
        feed.tell(failure(str(turn)))
    assert watch.lost == 7
    assert [(await watch.next()).turn for _ in range(3)] == ["7", "8", "9"]


async def test_a_watcher_waits_for_the_next_event() -> None:
    feed = Feed()
    watch = feed.open()
    asyncio.get_running_loop().call_soon(feed.tell, failure("later"))
    assert (await watch.next()).turn == "later"


async def test_a_watcher_that_leaves_is_forgotten() -> None:
    feed = Feed()
    stream = feed.watch()
    asyncio.get_running_loop().call_soon(feed.tell, failure("1"))
    assert (await anext(stream)).turn == "1"
    assert feed.watched
    await stream.aclose()  # type: ignore[attr-defined]  # an async generator in fact
    assert not feed.watched
