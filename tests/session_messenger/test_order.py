"""One thing after the other for each, and all at once for many."""

import asyncio
from functools import partial

from sessionbot_kit.channels.session_messenger.order import Order


async def test_what_one_person_sent_is_handled_in_order() -> None:
    order, done = Order("test"), list[int]()

    async def work(number: int) -> None:
        await asyncio.sleep(0)
        done.append(number)

    for number in range(5):
        order.put("ada", partial(work, number))
    await order.settled()
    assert done == [0, 1, 2, 3, 4]


async def test_one_person_s_slow_file_delays_nobody_else() -> None:
    order, slow, fast = Order("test"), asyncio.Event(), asyncio.Event()

    async def hang() -> None:
        await slow.wait()

    async def finish() -> None:
        fast.set()

    order.put("ada", hang)
    order.put("bob", finish)
    await fast.wait()
    slow.set()
    await order.settled()


async def test_stopping_leaves_what_waits() -> None:
    order, never, done = Order("test"), asyncio.Event(), list[int]()

    async def hang() -> None:
        await never.wait()

    async def work() -> None:
        done.append(1)

    order.put("ada", hang)
    order.put("ada", work)
    await asyncio.sleep(0)
    await order.stop()
    await order.settled()
    assert not done
