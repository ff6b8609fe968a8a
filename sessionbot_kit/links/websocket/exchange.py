"""Link frames in, WebSocket frames out, and the other way round; no socket and no clock in it.

    exchange.push(Event("t1", "typing"))
    while (data := exchange.next(now)) is not None: ...      # send it as one WebSocket frame
    meaning = exchange.take(data, now)                       # one that arrived
    exchange.inbox                                           # what it completed

It joins the three pure cores: the wire says what is due, the chunker cuts it, the reassembler puts
what arrives together. Control values travel in messages whose id begins with `$`; all others are
numbers that the wire gave. The one rule to remember: `age` is a clock of its own, which runs only
while the peer may send, so that nobody is timed out for waiting.
"""

import logging
from collections import deque
from collections.abc import Iterable, Iterator
from typing import BinaryIO, Literal, cast

from sessionbot_kit.chunker import ANY_DOCUMENT, Chunker, Payload, Reassembler
from sessionbot_kit.control import Greeting
from sessionbot_kit.errors import FragmentError, KitError, WireError
from sessionbot_kit.fragments import read_fragment
from sessionbot_kit.frames import conversation_of, from_document, to_document
from sessionbot_kit.lanes import Piece
from sessionbot_kit.link import Frame, Hello
from sessionbot_kit.links.websocket.envelope import ControlCodec, codec_of, message_id_of
from sessionbot_kit.links.websocket.rules import STEP_BYTES, Bucket, Rules
from sessionbot_kit.links.websocket.spool import Spool, close_files, keep_files, open_files
from sessionbot_kit.links.websocket.tap import Seen, Tap
from sessionbot_kit.wire import Freed, Meaning, Opened, Refused, Wire

log = logging.getLogger(__name__)


class Exchange:
    """One end of a session, over as many connections as it takes."""

    def __init__(self, wire: Wire, subprotocol: str, rules: Rules, tap: Tap, name: str) -> None:
        self.wire = wire
        self.subprotocol = subprotocol
        self.inbox: deque[tuple[int, Frame]] = deque()
        self.age = 0.0
        self.lost = 0
        self._rules = rules
        self.tap = tap
        self._name = name
        self._chunker = Chunker(
            STEP_BYTES, codec=codec_of(subprotocol), shape=ANY_DOCUMENT, limits=rules.limits
        )
        self._hello: Hello | None = None
        self._offences = Bucket(1_000, 1_000 / 60)
        self._begin()

    def _begin(self) -> None:
        folder = self._rules.spool_folder
        self._reassembler = Reassembler(
            self._rules.limits,
            shape=ANY_DOCUMENT,
            raw=True,
            spool=None if folder is None else lambda: cast(BinaryIO, Spool(folder)),
        )
        # What was pushed and may have to be sent again. Short messages are kept as the one frame
        # they are: bytes give the garbage collector nothing to look at.
        self._whole: dict[int, bytes] = {}
        self._payloads: dict[int, Payload] = {}
        self._files: dict[int, list[BinaryIO]] = {}
        self._cutting: dict[int, Iterator[bytes]] = {}
        self._backlog: deque[bytes] = deque()
        self._bytes: dict[int, int] = {}
        self._since: dict[tuple[str, str], float] = {}
        self.inbox.clear()

    def connected(self, codec: ControlCodec) -> dict[int, int]:
        """A new connection begins; returns how far each half-received message is."""
        self._control = codec
        self._cutting.clear()
        self._backlog.clear()
        return {int(name): at for name, at in self._reassembler.progress().items()}

    def accept(self, greeting: Greeting, codec: ControlCodec) -> None:
        """The server's side of a new connection."""
        self._free(self.wire.accept(greeting, self.connected(codec)).freed)

    def push(self, frame: Frame) -> None:
        """Take a frame on its way."""
        seq = self.wire.lanes.last_seq + 1
        document = to_document(frame)
        files = open_files(document)
        try:
            payload = self._chunker.encode(document, str(seq))
            self.wire.push(payload.size, conversation_of(frame), payload.end)
        except KitError:
            close_files(files)
            raise
        if payload.end <= self.wire.lanes.step:
            self._whole[seq] = next(payload.fragments())
            close_files(files)
            files = []
        else:
            self._payloads[seq] = payload
        if files:
            self._files[seq] = files
        if isinstance(frame, Hello):
            self._hello = frame

    def next(self, now: float) -> bytes | None:
        """The next WebSocket frame to send; None while there is nothing to say."""
        if self._backlog:
            return self._backlog.popleft()
        item = self.wire.poll(now)
        if item is None:
            return None
        if isinstance(item, Piece):
            try:
                data = self._cut(item)
            except (OSError, KitError):
                log.exception("message dropped, it cannot be read", extra={"link": self._name})
                self.wire.lanes.refuse(item.seq)
                self._free((item.seq,))
                return self.next(now)
            self.wire.spend(len(data))
            if self.tap.listeners:
                state = "complete" if item.stop == item.end else "open"
                self._note("out", str(item.seq), item.start, data, state, now)
            return data
        self._backlog.extend(self._control.frames(item))
        data = self._backlog.popleft()
        if self.tap.listeners:
            self._note("out", "$", 0, data, item.type, now)
        return data

    def _cut(self, piece: Piece) -> bytes:
        seq = piece.seq
        if (whole := self._whole.get(seq)) is not None:
            return whole
        frames = self._cutting.get(seq)
        if frames is None:
            frames = self._payloads[seq].fragments(piece.start)
            self._cutting[seq] = frames
        if piece.stop == piece.end:
            del self._cutting[seq]
        return next(frames)

    def take(self, data: bytes, now: float) -> Meaning | None:
        """Take a WebSocket frame in; finished messages are in the inbox then."""
        try:
            name = message_id_of(data, self._rules.limits)
            if name.startswith("$"):
                return self._take_control(data, now)
            if not data:
                return None
            if not name.isascii() or not name.isdecimal() or len(name) > 15 or name[0] == "0":
                raise FragmentError("bad_id", f"message id {name[:40]!r} is no number from 1")
        except FragmentError as error:
            self._must_be_text(data, error)
            self._refuse(0, error, now)
            return None
        self._take_fragment(int(name), data, now)
        return None

    def _take_control(self, data: bytes, now: float) -> Meaning | None:
        control = self._control.feed(data, self.age)
        if control is None:
            return None
        if self.tap.listeners:
            self._note("in", "$", 0, data, control.type, now)
        meaning = self.wire.feed(control)
        match meaning:
            case Opened(recovered, freed, lost):
                self._free(freed)
                if not recovered:
                    self._forget(lost)
            case Freed(seqs):
                self._free(seqs)
            case Refused(seq, code):
                log.error("message refused", extra={"link": self._name, "seq": seq, "code": code})
                self._free((seq,))
        return meaning

    def _take_fragment(self, seq: int, data: bytes, now: float) -> None:
        state = "duplicate"
        if not self.wire.fragment(seq, len(data)):
            self._offend(1, now)
        else:
            try:
                state = self._assemble(seq, data)
            except FragmentError as error:
                state = "refused"
                self._must_be_text(data, error)
                self._refuse(seq, error, now)
            except WireError as error:
                state = "refused"
                self._refuse(seq, FragmentError("bad_frame", str(error)), now)
        if self.tap.listeners:
            position = read_fragment(data, self._rules.limits)
            self._note("in", str(seq), position.position if position else 0, data, state, now)

    def _assemble(self, seq: int, data: bytes) -> str:
        document = self._reassembler.feed(data, self.age)
        size = self._bytes.pop(seq, 0) + len(data)
        if document is None:
            self._bytes[seq] = size
            return "open"
        keep_files(document)
        frame = from_document(document)
        self.wire.complete(seq, size)
        self.inbox.append((seq, frame))
        return "complete"

    def _must_be_text(self, data: bytes, error: FragmentError) -> None:
        # RFC 6455, section 8.1: text that is not UTF-8 ends the connection.
        try:
            if error.code == "not_json":
                data.decode()
        except UnicodeDecodeError:
            raise FragmentError("bad_utf8", "a text frame is not UTF-8", fatal=True) from error

    def _refuse(self, seq: int, error: FragmentError, now: float) -> None:
        if error.fatal:
            raise error
        self._bytes.pop(seq, None)
        self.wire.refuse(seq, error.code)
        log.warning("refused a message", extra={"link": self._name, "error": str(error)})
        self._offend(10, now)

    def _offend(self, weight: int, now: float) -> None:
        if self._offences.overflows(now, weight):
            raise WireError("too many frames had to be thrown away; send each message once")

    def tick(self, seconds: float, now: float) -> None:
        """Time in which the peer may send goes by; give up what it does not finish."""
        self.age += seconds
        if not self.tap.listeners:
            self._since.clear()
        for error in self._reassembler.expire(self.age):
            self._refuse(int(error.message_id or 0), error, now)

    def _free(self, seqs: Iterable[int]) -> None:
        for seq in seqs:
            if self._whole.pop(seq, None) is None:
                self._payloads.pop(seq, None)
                self._cutting.pop(seq, None)
                close_files(self._files.pop(seq, ()))

    def close(self) -> None:
        """Let go of what was half sent and half received."""
        self._reassembler.close()
        for files in self._files.values():
            close_files(files)
        self._files.clear()

    def _forget(self, lost: int) -> None:
        log.warning("peer has forgotten us", extra={"link": self._name, "lost": lost})
        self.lost += lost
        self.close()
        self._begin()
        if self._hello is not None:
            self.push(self._hello)

    def _note(
        self,
        way: Literal["in", "out"],
        name: str,
        position: int,
        data: bytes,
        state: str,
        now: float,
    ) -> None:
        since = self._since.setdefault((way, name), now)
        if state != "open":
            del self._since[way, name]
        self.tap.note(Seen(self._name, way, name, position, len(data), now - since, state))
