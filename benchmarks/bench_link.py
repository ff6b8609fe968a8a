"""The link over one WebSocket: bulk, chat messages, fairness, and how long it holds the loop."""

from benchmarks.harness import Section, at_least, at_most

MIB = 1024 * 1024


def case(name: str, *arguments: object) -> list[str]:
    """A command that runs one case in a fresh process."""
    return ["-m", "benchmarks.link_cases", name, *map(str, arguments)]


async def main(section: Section) -> None:
    """Measure in fresh processes; the server of each case has one more."""
    bulk = section.table(
        "1 MiB over one WebSocket, validated and acknowledged",
        unit="MB/s",
        against="original peers",
        rounds=5,
    )
    bulk.process("original peers", case("mb_per_s", "original", MIB))
    bulk.process("text", case("mb_per_s", "text", MIB), goal=at_least(3))
    bulk.process("binary", case("mb_per_s", "binary", MIB), goal=at_least(8))
    await bulk.measure()

    for title, size, least in (("1 MiB", MIB, 0.8), ("16 MiB", 16 * MIB, 1.5)):
        raw = section.table(
            f"{title}, against one raw frame of `websockets`",
            unit="MB/s",
            against="one raw frame",
            rounds=5,
        )
        raw.process("one raw frame", case("mb_per_s", "raw", size))
        raw.process("binary", case("mb_per_s", "binary", size), goal=at_least(least))
        if size > 8 * MIB:
            raw.process("binary, spooled to disk", case("mb_per_s", "spooled", size))
        await raw.measure()

    chat = section.table(
        "Chat messages of 1 KB", unit="messages/s", against="a bare echo", rounds=5
    )
    chat.process("a bare echo", case("chats_per_s", "raw"))
    chat.process("binary", case("chats_per_s", "binary"), goal=at_least(0.6))
    chat.process("text", case("chats_per_s", "text"))
    await chat.measure()

    fair = section.table(
        "99th percentile of a 200-byte round trip", unit="ms", against="idle", rounds=5
    )
    fair.process("idle", case("latency_ms", "idle"))
    fair.process("under transfers of 60 MB", case("latency_ms", "loaded"), goal=at_most(4))
    await fair.measure()

    stall = section.table("Longest callback during a message of 60 MB", rounds=5)
    stall.process("binary", case("stall_ms", "binary"), goal=at_most(5, "ms"))
    await stall.measure()
    section.note(
        "Every case runs client and server in two fresh processes without compression. A message "
        "counts when it was validated, handled and acknowledged; the bare socket validates "
        "nothing, and acknowledges by answering. Up to 8 large messages are on their way at once, "
        "64 short ones on the bare socket, and as many as the outbox holds on the link. Latency "
        "and the longest callback are measured with large attachments spooled to disk, as a "
        "gateway keeps them; in memory, joining 60 MB takes one callback of 25 ms."
    )


if __name__ == "__main__":
    Section("link", "The link over WebSockets", uses=("websockets", "pydantic", "orjson")).run(main)
