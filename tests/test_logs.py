"""Log lines: their keys, their one id, and what they never say."""

import ast
import asyncio
import io
import json
import logging
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

import sessionbot_kit
from sessionbot_kit.logs import (
    BODY_KEYS,
    ConsoleFormatter,
    JsonFormatter,
    NoBodies,
    configure,
    correlated,
)
from sessionbot_kit.models import IncomingMessage
from sessionbot_kit.secrecy import Redactor
from sessionbot_kit.store import InboxRow

log = logging.getLogger("sessionbot_kit.test_room")

Lines = Callable[[], list[dict[str, Any]]]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def tidy() -> Iterator[None]:
    """Leave the loggers as they were found."""
    root, kit = logging.getLogger(), logging.getLogger("sessionbot_kit")
    before, level = list(root.handlers), kit.level
    yield
    root.handlers[:] = before
    kit.setLevel(level)


@pytest.fixture
def paper() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def lines(paper: io.StringIO) -> Lines:
    """What was logged as JSON, read back."""
    configure("DEBUG", "json", stream=paper, redact=Redactor(["hunter2!"]))
    return lambda: [orjson.loads(line) for line in paper.getvalue().splitlines()]


def a_message(content: str) -> IncomingMessage:
    return IncomingMessage(
        id="1",
        channel_type="loopback",
        channel_id="c",
        sender_id="u",
        sender_name="Ada",
        content=content,
        timestamp=datetime(2026, 1, 1, tzinfo=UTC),
    )


def a_record(**fields: Any) -> logging.LogRecord:
    return logging.makeLogRecord({"levelno": logging.INFO, "levelname": "INFO", **fields})


def test_a_line_has_its_keys_in_order(lines: Lines) -> None:
    log.info("turn done", extra={"plugin": "echo", "ms": 1.5})
    (line,) = lines()
    assert list(line) == ["timestamp", "logger", "level", "message", "plugin", "ms"]
    assert datetime.fromisoformat(line["timestamp"]).utcoffset() is not None
    assert (line["logger"], line["level"]) == ("sessionbot_kit.test_room", "INFO")
    assert (line["message"], line["plugin"], line["ms"]) == ("turn done", "echo", 1.5)


def test_an_exception_is_one_line_too(lines: Lines, paper: io.StringIO) -> None:
    try:
        raise ValueError("no such card")
    except ValueError:
        log.exception("turn failed")
    (line,) = lines()
    assert line["exception"].endswith("ValueError: no such card")
    assert paper.getvalue().count("\n") == 1


def test_a_stack_is_one_line_too(lines: Lines) -> None:
    log.warning("where", stack_info=True)
    assert lines()[0]["exception"].startswith("Stack (most recent call last):")


def test_one_id_runs_through_tasks_and_threads(lines: Lines) -> None:
    async def turn(id: str) -> None:
        with correlated(id, session_id=f"s-{id}"):
            log.info("received")
            await asyncio.gather(asyncio.to_thread(log.info, "ran"), asyncio.sleep(0))
            with correlated(id, plugin="echo"):
                log.info("sent")

    async def both() -> None:
        await asyncio.gather(turn("a"), turn("b"))
        log.info("idle")

    asyncio.run(both())
    told = {line["message"]: line for line in lines() if line.get("correlation") == "a"}
    assert set(told) == {"received", "ran", "sent"}
    assert {line["session_id"] for line in told.values()} == {"s-a"}
    assert told["sent"]["plugin"] == "echo"
    assert "correlation" not in lines()[-1]


@pytest.mark.parametrize("key", sorted(BODY_KEYS))
@pytest.mark.parametrize("format", ["json", "console"])
def test_what_people_wrote_is_seen_at_debug_alone(
    key: str, format: Any, paper: io.StringIO
) -> None:
    configure("DEBUG", format, stream=paper)
    for level in (logging.INFO, logging.WARNING, logging.ERROR):
        log.log(level, "turn done", extra={key: "dear diary", "deep": [{key: "dear diary"}]})
    assert "diary" not in paper.getvalue()
    log.debug("frame", extra={key: "dear diary"})
    assert "diary" in paper.getvalue()


@pytest.mark.parametrize("format", ["json", "console"])
def test_a_message_that_is_logged_whole_shows_only_what_it_is(
    format: Any, paper: io.StringIO
) -> None:
    configure("DEBUG", format, stream=paper)
    message = a_message("dear diary")
    row = InboxRow(id="1", session_id="s", message=message)
    log.info("odd", extra={"what": message, "many": [message, row], "deep": {"row": row}})
    assert "diary" not in paper.getvalue()
    assert paper.getvalue().count("InboxRow") == 2


@pytest.mark.parametrize("format", ["json", "console"])
def test_an_exception_that_quotes_a_person_is_logged_without_the_quote(
    format: Any, paper: io.StringIO
) -> None:
    configure("INFO", format, stream=paper)
    said = 'my "secret" plan\nis\x1b cake'
    with correlated("t1", private=[said]):
        try:
            int(said)
        except ValueError as error:
            log.exception("turn failed", extra={"error": str(error)})
            logging.getLogger("a_plugin").warning("cannot read %s", said)
    assert "cake" not in paper.getvalue()
    assert "invalid literal" in paper.getvalue()


def test_a_person_who_writes_a_word_of_ours_does_not_blot_it_out(lines: Lines) -> None:
    with correlated("t1", private=["turn", "echo"]):
        log.info("turn done", extra={"plugin": "echo"})
    assert (lines()[0]["message"], lines()[0]["plugin"]) == ("turn done", "echo")


@pytest.mark.parametrize("format", ["json", "console"])
def test_a_known_secret_stands_in_no_line(format: Any, paper: io.StringIO) -> None:
    secret = 'pa"ss\\w\nörd'
    configure("DEBUG", format, stream=paper, redact=Redactor([secret]))
    logging.getLogger("httpx").warning("POST https://host/%s/send", secret)
    log.debug("frame", extra={"token": secret, "deep": {"content": [secret]}, secret: 1})
    try:
        raise ValueError(f"bad token {secret!r} {secret}")
    except ValueError:
        log.exception("failed")
    text = paper.getvalue()
    assert "ss\\" not in text
    assert "w\\n" not in text
    assert "örd" not in text
    assert text.count("***") >= 6


def test_an_odd_value_does_not_cost_the_line(lines: Lines) -> None:
    ring: list[object] = []
    ring.append(ring)
    odd = [object(), {1: 2}, {"s": {3}}, "\ud800", 2**80, float("nan"), b"\xff", ring, Path("p")]
    for value in odd:
        log.info("odd", extra={"value": value})
    assert [line["message"] for line in lines()] == ["odd"] * len(odd)


def test_an_extra_cannot_pose_as_one_of_our_keys(lines: Lines) -> None:
    log.info("event", extra={"level": "FATAL", "logger": "root", "timestamp": "never"})
    assert lines()[0]["level"] == "INFO"
    assert lines()[0]["logger"] == "sessionbot_kit.test_room"


def test_a_call_with_wrong_arguments_is_still_a_line() -> None:
    record = a_record(name="theirs", msg="%d apples", args=("no",))
    assert json.loads(JsonFormatter().format(record))["message"] == "%d apples ('no',)"


@given(st.text(), st.dictionaries(st.text(min_size=1), st.text()))
def test_any_text_makes_one_line_of_json(text: str, extra: dict[str, str]) -> None:
    record = a_record(name="x", msg=text, args=None)
    record.names = extra
    line = JsonFormatter().format(record)
    assert "\n" not in line
    assert isinstance(json.loads(line), dict)


def test_a_terminal_gets_colors_and_a_pipe_gets_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    terminal, pipe = Terminal(), io.StringIO()
    configure(stream=terminal)
    log.info("turn done", extra={"plugin": "echo", "who": "Ada L"})
    configure(stream=pipe)
    log.info("turn done")
    assert "\x1b[36mINFO" in terminal.getvalue()
    assert terminal.getvalue().count("\n") == 1
    assert pipe.getvalue().startswith('{"timestamp"')


def test_a_line_for_people_is_readable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    terminal = Terminal()
    configure(stream=terminal)
    log.info("turn done", extra={"plugin": "echo", "who": "Ada L", "empty": ""})
    line = terminal.getvalue().split(" ", 1)[1]
    assert line == 'INFO    [test_room] turn done plugin=echo who="Ada L" empty=""\n'


def test_a_peer_cannot_paint_the_terminal() -> None:
    record = a_record(name="x", msg="hi \x1b[2J\r\n")
    record.who = "\x9b31m\ud800"
    line = ConsoleFormatter().format(record)
    assert line.isprintable()


def test_other_libraries_are_heard_from_warning_on(lines: Lines) -> None:
    logging.getLogger("websockets").info("chatter")
    logging.getLogger("websockets").warning("trouble")
    assert [line["message"] for line in lines()] == ["trouble"]


def test_a_level_keeps_the_rest_out(paper: io.StringIO) -> None:
    configure("WARNING", "json", stream=paper)
    log.info("turn done")
    assert paper.getvalue() == ""


def test_configuring_twice_does_not_log_twice(paper: io.StringIO, lines: Lines) -> None:
    configure("INFO", "json", stream=paper)
    log.info("once")
    assert len(lines()) == 1


def test_the_filter_serves_other_handlers_too(caplog: pytest.LogCaptureFixture) -> None:
    caplog.handler.addFilter(filter := NoBodies())
    log.warning("odd", extra={"content": "dear diary", "plugin": "echo"})
    caplog.handler.removeFilter(filter)
    assert not hasattr(caplog.records[0], "content")


ROOMS = sorted(Path(sessionbot_kit.__file__).parent.rglob("*.py"))


def log_calls(source: str) -> Iterator[ast.Call]:
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name(id="log" | "logger" | "logging"))):
                yield node


def faults(call: ast.Call) -> Iterator[str]:
    assert isinstance(call.func, ast.Attribute)
    level = call.func.attr
    if level not in {"debug", "info", "warning", "error", "exception", "critical"}:
        return
    if len(call.args) != 1 or not isinstance(call.args[0], ast.Constant):
        yield f"line {call.lineno}: the message is a constant; what varies goes into extra"
    for keyword in call.keywords:
        for node in ast.walk(keyword.value):
            match node:
                case ast.Dict(keys=keys) if level != "debug":
                    named = {key.value for key in keys if isinstance(key, ast.Constant)}
                    for key in sorted(BODY_KEYS & named):
                        yield f"line {call.lineno}: {key} is logged above DEBUG"
                case ast.Attribute(attr="content" | "text" | "raw_content") if level != "debug":
                    yield f"line {call.lineno}: .{node.attr} is logged above DEBUG"


def test_every_room_logs_events_and_no_bodies() -> None:
    found = [
        f"{room.name} {fault}"
        for room in ROOMS
        for call in log_calls(room.read_text())
        for fault in faults(call)
    ]
    assert found == []


@pytest.mark.parametrize(
    "source",
    [
        "log.info(f'got {x}')",
        "log.info('got %s', x)",
        "log.warning('e', extra={'content': x})",
        "log.error('e', extra={'what': message.content})",
    ],
)
def test_the_check_of_rooms_catches_a_body(source: str) -> None:
    assert [fault for call in log_calls(source) for fault in faults(call)]


def test_only_doors_decide_where_lines_go() -> None:
    deciding = {
        room.stem
        for room in ROOMS
        for word in ("addHandler", "basicConfig", "logs.configure", "import configure")
        if word in room.read_text() and "views" not in room.parts
    }
    doors = {"cli", "chat_commands", "gateway_commands", "selftest", "web_commands"}
    assert deciding <= {"logs"} | doors  # a bot only speaks up
