"""What a visitor may ask: a session, a chat, files, a copy of it all.

    POST /api/session                      -> {"session_id": "...", "token": "..."}
    POST /api/chat  {"content": "Hello!"}  -> {"replies": [{"content": "Hello yourself!"}], ...}

A message that was taken is on the disk; whoever did not hear that sends it again with the same
`id` or Idempotency-Key, and it is answered once.
"""

import asyncio
import hashlib
import mimetypes
from collections.abc import AsyncIterator
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

from sessionbot_kit import __version__
from sessionbot_kit.errors import AccessError
from sessionbot_kit.ids import new_id
from sessionbot_kit.rest.exchange import Answer, json_answer
from sessionbot_kit.rest.operations import Ask
from sessionbot_kit.rest.problems import Problem
from sessionbot_kit.rest.shapes import Begin, Say
from sessionbot_kit.sessions import Conversation
from sessionbot_kit.sessions.transcript import FORMATS

UPLOAD_TIMEOUT_S: Final = 120.0
READ_BYTES: Final = 64 * 1024
# What a browser may show in the page. Everything else is saved, for it might be a page itself.
SHOWN: Final = ("image/png", "image/jpeg", "image/gif", "image/webp", "audio/", "video/")
TYPES: Final = {
    "txt": b"text/plain; charset=utf-8",
    "md": b"text/markdown; charset=utf-8",
    "json": b"application/json",
    "jsonl": b"application/x-ndjson",
}


async def begin(ask: Ask) -> Answer:
    """A new session; or, for a browser that has one already, that one."""
    wish = await ask.request.document(Begin, empty=True)
    guard, room = ask.room.guard, ask.room
    if wish.cookie:
        guard.check_origin(ask.request)
        if (known := await _known(ask)) is not None:
            return json_answer({"session_id": known.id, "token": None})
    await guard.check_beginning(ask.request, room)
    visitor = new_id()
    session = await room.sessions.get_or_create_session(
        interface_type="web",
        external_user_id=visitor,
        external_chat_id=visitor,
        bot=room.bot.name,
    )
    token = await room.sessions.issue_token(session.id)
    headers = (set_cookie(ask, token),) if wish.cookie else ()
    told = None if wish.cookie else token
    return json_answer({"session_id": session.id, "token": told}, 201, headers)


async def _known(ask: Ask) -> Conversation | None:
    """Whom the cookie belongs to; a cookie that opens nothing is as good as none."""
    token = ask.request.cookie(ask.room.cookie)
    if not token:
        return None
    try:
        return await ask.room.guard.session_of(token, ask.room, ask.request.client)
    except AccessError:
        return None


def set_cookie(ask: Ask, token: str, *, seconds: int = 400 * 86_400) -> tuple[bytes, bytes]:
    """No script sees it, and no other site makes a browser send it."""
    parts = [
        f"{ask.room.cookie}={token}",
        f"Path={ask.room.path or '/'}",
        f"Max-Age={seconds}",
        "HttpOnly",
        "SameSite=Strict",
    ]
    if ask.room.secure:
        parts.append("Secure")
    return b"set-cookie", "; ".join(parts).encode()


async def info(ask: Ask) -> Answer:
    session = ask.session
    expires = session.expires_at
    return json_answer(
        {
            "session_id": session.id,
            "seq": session.seq,
            "state": session.state,
            "messages": session.message_count,
            "created_at": session.created_at.isoformat(),
            "last_activity": session.last_activity.isoformat(),
            "expires_at": expires.isoformat() if expires else None,
        }
    )


async def rotate(ask: Ask) -> Answer:
    """A new token in the place of all others of this session."""
    token = await ask.room.sessions.rotate_token(ask.session.id)
    by_cookie = bool(ask.request.cookie(ask.room.cookie)) and not ask.request.header(
        b"authorization"
    )
    headers = (set_cookie(ask, token),) if by_cookie else ()
    told = None if by_cookie else token
    return json_answer({"session_id": ask.session.id, "token": told}, 200, headers)


async def leave(ask: Ask) -> Answer:
    """Close the session; its token opens nothing from then on."""
    await ask.room.sessions.deactivate(ask.session.id)
    return Answer(204, headers=(set_cookie(ask, "", seconds=0),))


async def say(ask: Ask) -> Answer:
    """Hand a message over, and wait for the answer if that is wished."""
    wish = await ask.request.document(Say)
    room, key = ask.room, ask.session.key
    room.sessions.admit(ask.session.id)
    id = wish.id or _id_of_key(ask) or new_id()
    receipt = await room.channel.hear(
        chat=key.chat,
        user=key.user,
        id=id,
        content=wish.content,
        files=wish.files,
        reply_to=wish.reply_to,
    )
    complete = False
    if wish.wait_s > 0:
        try:
            async with asyncio.timeout(wish.wait_s):
                await room.bot.gateway.settle(receipt)
            complete = True
        except TimeoutError:
            pass
    begin = f"{receipt.inbox_id}/"
    replies = [
        {"id": row["id"], "content": row["content"]}
        for row in await room.channel.page(key.chat).newer()
        if row["id"].startswith(begin) or (row["who"] == "bot" and row.get("reply_to") == id)
    ]
    return json_answer(
        {
            "id": id,
            "session_id": ask.session.id,
            "complete": complete,
            "duplicate": receipt.duplicate,
            "replies": replies,
        },
        200 if complete else 202,
    )


def _id_of_key(ask: Ask) -> str | None:
    # The inbox knows a second copy by its id, for as long as it keeps any: also after a restart.
    key = ask.request.header(b"idempotency-key")
    return f"key-{hashlib.sha256(key.encode()).hexdigest()[:40]}" if key else None


async def history(ask: Ask) -> Answer:
    return await lines_of(ask, ask.session.id)


async def lines_of(ask: Ask, session_id: str) -> Answer:
    """Lines of a conversation from a cursor on."""
    limit = ask.request.query_number("limit", 50, most=200)
    after = ask.request.query_number("cursor", 0, least=0, most=10**15 - 1)
    lines = await ask.room.sessions.store.messages(session_id, after=after, limit=limit + 1)
    shown = lines[:limit]
    return json_answer(
        {
            "session_id": session_id,
            "messages": [
                {
                    "seq": line.seq,
                    "role": line.role,
                    "content": line.content,
                    "timestamp": line.timestamp.isoformat(),
                }
                for line in shown
            ],
            "next_cursor": str(shown[-1].seq) if len(lines) > limit else None,
        }
    )


async def upload(ask: Ask) -> Answer:
    """Take a file as it comes; a message names it by its id."""
    ask.room.sessions.admit(ask.session.id)
    files = ask.room.channel.files
    chunks = ask.request.chunks(limit=files.max_bytes, timeout_s=UPLOAD_TIMEOUT_S)
    name = ask.request.query.get("name", "")
    mime = ask.request.header(b"content-type")
    if mime.partition(";")[0].strip() in ("", "application/octet-stream"):
        mime = mimetypes.guess_type(name)[0] or "application/octet-stream"
    note = await files.take(ask.session.key.chat, chunks, name=name, mime=mime)
    return json_answer(note.shown(), 201)


async def download(ask: Ask) -> Answer:
    """A file of this chat. Only what cannot be a page itself is shown in one."""
    files, chat, id = ask.room.channel.files, ask.session.key.chat, ask.request.params["id"]
    note, path = await files.note(chat, id), files.path(chat, id)
    if note is None or path is None:
        raise Problem(404, "not_found", "there is no such file in this chat")
    inline = note.mime.startswith(SHOWN)
    shown = note.mime if inline else "application/octet-stream"
    headers = (
        (b"content-disposition", b"inline" if inline else b"attachment"),
        (b"content-security-policy", b"default-src 'none'; sandbox"),
        (b"cache-control", b"private, max-age=86400"),
    )
    return Answer(200, b"", shown.encode(), headers, _read(path), path.stat().st_size)


async def _read(path: Path) -> AsyncIterator[bytes]:
    file = await asyncio.to_thread(open, path, "rb")
    try:
        while chunk := await asyncio.to_thread(file.read, READ_BYTES):
            yield chunk
    finally:
        file.close()


async def export(ask: Ask) -> Answer:
    return await copy_of(ask, ask.session.id)


async def copy_of(ask: Ask, session_id: str) -> Answer:
    """A whole conversation as a file."""
    form: Any = ask.request.query.get("format", "txt")
    if form not in FORMATS:
        raise Problem(400, "invalid", f"format is {form[:20]!r}; choose {', '.join(FORMATS)}")
    text = await ask.room.sessions.export(session_id, form)
    name = f'attachment; filename="conversation.{form}"'.encode()
    return Answer(HTTPStatus.OK, text.encode(), TYPES[form], ((b"content-disposition", name),))


async def identity(ask: Ask) -> Answer:
    room = ask.room
    return json_answer(
        {
            "bot": room.bot.name,
            "version": __version__,
            "channels": sorted(channel.meta.id for channel in room.bot.channels),
            "languages": list(room.languages),
        }
    )
