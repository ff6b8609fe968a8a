"""The other client, in a process of its own: reads orders as JSON lines, answers in JSON lines.

    python peer_process.py HTTP_PORT MNEMONIC NAME

It is `session-python`, which blocks, and which may ask a refusing swarm for ever; so whoever
starts this kills it when an answer does not come. It reaches 127.0.0.1 and nothing else.
"""

import base64
import json
import socket
import sys
from importlib import import_module
from typing import Any

_connect = socket.socket.connect


def _connect_here(line: socket.socket, address: Any) -> None:
    if line.family != socket.AF_UNIX and address[0] != "127.0.0.1":
        raise PermissionError(f"the peer wanted to leave the machine, to {address}")
    _connect(line, address)


socket.socket.connect = _connect_here  # type: ignore[method-assign,assignment]  # the whole point

# Imported only now that the door is shut; the package has no types.
session_python: Any = import_module("session_python")
network: Any = import_module("session_python.network")
crypto: Any = import_module("session_python.crypto")
wire: Any = import_module("session_python.protobuf.signalservice_pb2")


class Peer:
    """What can be asked of the other client."""

    def __init__(self, port: int, mnemonic: str, name: str) -> None:
        network.SEEDS[:] = [{"url": f"127.0.0.1:{port}"}]
        self.session = session_python.Session()
        web = self.session.network.session
        web.trust_env = False
        web.proxies["http://filev2.getsession.org"] = f"http://127.0.0.1:{port}"
        self.session.set_mnemonic(mnemonic, name)
        self.poller = session_python.Poller(self.session, [0])

    def say(self, to: str, text: str, files: list[dict[str, str]] | None = None) -> Any:
        attachments = [
            {
                "data": base64.b64decode(file["data"]),
                "name": file["name"],
                "content_type": file["mime"],
            }
            for file in files or []
        ]
        return self.session.send_message(to, text, attachments)

    def react(self, timestamp: int, author: str, emoji: str, remove: bool) -> None:
        act = self.session.remove_reaction if remove else self.session.add_reaction
        act(timestamp, author, emoji)

    def type(self, to: str, started: bool) -> None:
        session = self.session
        act = session.show_typing_indicator if started else session.hide_typing_indicator
        act(to)

    def read(self, to: str, timestamps: list[int]) -> None:
        self.session.mark_messages_as_read(to, timestamps)

    def unsend(self, to: str, timestamp: int, hash: str) -> None:
        self.session.delete_message(to, timestamp, hash)

    def accept(self, to: str) -> None:
        self.session.accept_conversation_request(to)

    def poll(self) -> Any:
        return [
            {name: value for name, value in event.items() if name != "attachments"}
            | {"files": [self._fetch(file) for file in event["attachments"]]}
            for event in self.poller.poll()
        ]

    def open(self, record: str) -> Any:
        """Read one record with the other client's cryptography and its own message classes."""
        outer = wire.WebSocketMessage.FromString(base64.b64decode(record))
        envelope = wire.Envelope.FromString(outer.request.body)
        padded, sender = crypto.decrypt_with_session_protocol(self.session.keys, envelope.content)
        content = wire.Content.FromString(crypto.remove_message_padding(padded))
        return {
            "sender": sender,
            "content": str(content),
            "time": envelope.timestamp,
            "reaction": reaction_in(content.dataMessage),
        }

    def _fetch(self, pointer: dict[str, Any]) -> dict[str, str]:
        data = base64.b64encode(self.session.get_file(pointer)).decode()
        return {"name": pointer["name"], "mime": pointer["contentType"], "data": data}


def reaction_in(message: Any) -> dict[str, Any] | None:
    if not message.HasField("reaction"):
        return None
    found = message.reaction
    removed = found.action == type(found).REMOVE
    return {"id": found.id, "author": found.author, "emoji": found.emoji, "removed": removed}


def tell(answer: object) -> None:
    sys.stdout.write(json.dumps(answer, default=str) + "\n")
    sys.stdout.flush()


def main() -> None:
    peer = Peer(int(sys.argv[1]), sys.argv[2], sys.argv[3])
    tell({"ready": peer.session.get_session_id()})
    for line in sys.stdin:
        order = json.loads(line)
        tell({"answer": getattr(peer, order.pop("do"))(**order)})


if __name__ == "__main__":
    main()
