"""Log lines: JSON for machines, colors for people, and nothing that is nobody's business.

    log = logging.getLogger(__name__)           # in every room
    with correlated(row.id, private=[message.content], session_id=row.session_id):
        log.info("turn done", extra={"plugin": "echo", "ms": 1.2})

    {"timestamp":"2026-11-21T09:30:00.123Z","logger":"sessionbot_kit.turns","level":"INFO",
     "message":"turn done","correlation":"0193...","session_id":"...","plugin":"echo","ms":1.2}

The message names an event and is a constant; what varies is in `extra`. Only the command line and
views call `configure`; a library never does. The one rule to remember: **what people wrote goes
under `content` or `text`, and is seen at DEBUG alone.**
"""

import json
import logging
import os
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import is_dataclass
from types import MappingProxyType
from typing import Any, Literal, TextIO

import orjson
from pydantic import BaseModel

from sessionbot_kit.secrecy import Redactor

ROOM = "sessionbot_kit"
BODY_KEYS = frozenset({"content", "text", "raw_content", "body", "caption", "attachments", "media"})

correlation: ContextVar[Mapping[str, object]] = ContextVar(
    "correlation", default=MappingProxyType({})
)

_private: ContextVar[tuple[str, ...]] = ContextVar("private", default=())

_FREE_TEXT = ("error", "reason")  # what an exception says may quote a person
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_OPTIONS = orjson.OPT_NON_STR_KEYS
_COLORS = {"DEBUG": "2", "INFO": "36", "WARNING": "33", "ERROR": "31", "CRITICAL": "1;31"}
_OURS = "_sessionbot_handler"


@contextmanager
def correlated(id: str, *, private: Iterable[str] = (), **names: object) -> Iterator[None]:
    """Give every line within, in this task and those it starts, an id and further names.

    `private` is what a person wrote: an exception that quotes it is logged without it.
    """
    named = correlation.set({**correlation.get(), "correlation": id, **names})
    hushed = _private.set((*_private.get(), *private))
    try:
        yield
    finally:
        correlation.reset(named)
        _private.reset(hushed)


def configure(
    level: str = "INFO",
    format: Literal["auto", "json", "console"] = "auto",
    *,
    stream: TextIO | None = None,
    redact: Redactor | None = None,
) -> logging.Handler:
    """Send every log line to a stream, standard error by default. Called again, it replaces."""
    stream = stream if stream is not None else sys.stderr
    redact = redact or Redactor()
    handler = logging.StreamHandler(stream)
    handler.set_name(_OURS)
    handler.addFilter(NoBodies())
    if format == "json" or (format == "auto" and not stream.isatty()):
        handler.setFormatter(JsonFormatter(redact))
    else:
        handler.setFormatter(ConsoleFormatter(redact, color=_likes_color(stream)))
    root = logging.getLogger()
    for old in [old for old in root.handlers if old.get_name() == _OURS]:
        root.removeHandler(old)
    root.addHandler(handler)
    logging.getLogger(ROOM).setLevel(level)
    return handler


def speak_up() -> None:
    """See that warnings reach somebody: a program that decided nothing would lose what they say.

    Python's last resort prints the event alone, and what went wrong stands beside it.
    """
    if not logging.getLogger(ROOM).hasHandlers():
        handler = logging.StreamHandler()
        handler.setLevel(logging.WARNING)
        handler.addFilter(NoBodies())
        handler.setFormatter(ConsoleFormatter(color=_likes_color(sys.stderr)))
        logging.getLogger(ROOM).addHandler(handler)


def _likes_color(stream: TextIO) -> bool:
    return stream.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"


class NoBodies(logging.Filter):
    """Takes what people wrote out of every record above DEBUG."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno > logging.DEBUG:
            for key in vars(record).keys() - _STANDARD:
                if key in BODY_KEYS:
                    delattr(record, key)
                else:
                    setattr(record, key, _without_bodies(getattr(record, key)))
        return True


def _without_bodies(value: object, depth: int = 6) -> object:
    match value:
        case dict() | list() | tuple() if depth == 0:
            return "..."  # whatever is down there, nobody reads it in a log line
        case dict():
            return {
                k: _without_bodies(v, depth - 1) for k, v in value.items() if k not in BODY_KEYS
            }
        case list() | tuple():
            return [_without_bodies(item, depth - 1) for item in value]
    # Messages and rows carry what people wrote; their kind is enough.
    carrier = isinstance(value, BaseModel) or is_dataclass(value)
    return type(value).__name__ if carrier else value


class JsonFormatter(logging.Formatter):
    """One line, one JSON object: timestamp, logger, level, message, then what is known."""

    def __init__(self, redact: Redactor | None = None) -> None:
        super().__init__()
        self._redact = redact or Redactor()

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "timestamp": _moment(record.created),
            "logger": record.name,
            "level": record.levelname,
            "message": self._redact(_message(record)),
        }
        for key, value in _names(record).items():
            line.setdefault(key, value)
        if (trace := _trace(self, record)) is not None:
            line["exception"] = self._redact(trace)
        return self._redact(_as_json(line))


class ConsoleFormatter(logging.Formatter):
    """A line for people: time, level, room, event, then what is known."""

    def __init__(self, redact: Redactor | None = None, *, color: bool = False) -> None:
        super().__init__()
        self._redact = redact or Redactor()
        self._color = color

    def format(self, record: logging.LogRecord) -> str:
        time_of_day = time.strftime("%H:%M:%S", time.localtime(record.created))
        room = record.name.removeprefix(f"{ROOM}.")
        names = " ".join(
            f"{self._paint('2', self._clean(key))}={_word(self._clean(str(value)))}"
            for key, value in _names(record).items()
        )
        head = [
            self._paint("2", f"{time_of_day}.{int(record.msecs):03}"),
            self._paint(_COLORS.get(record.levelname, "0"), f"{record.levelname:<7}"),
            f"[{room}]",
            self._clean(_message(record)),
        ]
        line = " ".join([*head, names]).rstrip()
        if (trace := _trace(self, record)) is not None:
            line += "\n" + "\n".join(_printable(row) for row in self._redact(trace).splitlines())
        return line

    def _clean(self, text: str) -> str:
        return _printable(self._redact(text))

    def _paint(self, color: str, text: str) -> str:
        return f"\x1b[{color}m{text}\x1b[0m" if self._color else text


def _names(record: logging.LogRecord) -> dict[str, Any]:
    extra = {key: value for key, value in vars(record).items() if key not in _STANDARD}
    for key in _FREE_TEXT:
        if isinstance(said := extra.get(key), str):
            extra[key] = _hushed(said, record)
    return {**correlation.get(), **extra}


def _message(record: logging.LogRecord) -> str:
    try:
        message = record.getMessage()
    except (TypeError, ValueError, KeyError):
        # A log call with the wrong arguments must not cost the line, nor print them elsewhere.
        message = f"{record.msg} {record.args}"
    # Events of the house are constants, and a person may well write one of their words.
    return message if record.name.startswith(ROOM) else _hushed(message, record)


def _trace(formatter: logging.Formatter, record: logging.LogRecord) -> str | None:
    parts = []
    if record.exc_info and record.exc_info[0] is not None:
        parts.append(formatter.formatException(record.exc_info))
    elif record.exc_text:
        parts.append(record.exc_text)
    if record.stack_info:
        parts.append(record.stack_info)
    return _hushed("\n".join(parts), record) or None


def _hushed(text: str, record: logging.LogRecord) -> str:
    if record.levelno <= logging.DEBUG or not (private := _private.get()):
        return text
    return Redactor(private)(text)


def _moment(created: float) -> str:
    seconds, rest = divmod(int(created * 1000), 1000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{rest:03}Z"


def _as_json(line: Mapping[str, Any]) -> str:
    try:
        return orjson.dumps(line, default=str, option=_OPTIONS).decode()
    except TypeError:
        # A lone surrogate, a huge number, a ring: rare, and no reason to lose the line.
        mended = {str(k): str(v).encode("utf-8", "replace").decode() for k, v in line.items()}
        return orjson.dumps(mended).decode()


def _word(text: str) -> str:
    return text if text and " " not in text and '"' not in text else json.dumps(text)


def _printable(text: str) -> str:
    # What a peer sent must not move the cursor or paint the terminal.
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() or c == "\t" else c.encode("unicode_escape").decode() for c in text
    )
