"""The tables and their versions.

`MIGRATIONS[n]` leads from version n to n + 1. A migration that was released is never edited; a
change of the tables is a new one. Times are text in UTC, `YYYY-MM-DD HH:MM:SS.ffffff`, so that
people may ask in any SQLite shell:

    SELECT id, user_id, last_activity FROM sessions
    WHERE last_activity > datetime('now', '-30 minutes');
    SELECT role, content, timestamp FROM messages WHERE session_id = '...' ORDER BY seq;

`sessions.last_activity` follows a conversation within a minute; the last message knows exactly.
"""

from typing import Final

APPLICATION_ID: Final = 0x53424B31  # "SBK1": what `file bot.db` shows

SESSIONS: Final = (
    """
    CREATE TABLE sessions (
        seq            INTEGER PRIMARY KEY AUTOINCREMENT,
        id             TEXT NOT NULL UNIQUE,
        bot_id         TEXT NOT NULL,
        interface      TEXT NOT NULL,
        chat_id        TEXT NOT NULL,
        user_id        TEXT NOT NULL,
        identity       TEXT NOT NULL DEFAULT 'anonymous',
        state          TEXT NOT NULL DEFAULT 'new',
        metadata       TEXT NOT NULL DEFAULT '{}',
        created_at     TEXT NOT NULL,
        last_activity  TEXT NOT NULL,
        activity_seq   INTEGER NOT NULL DEFAULT 0, -- a line after this one was said later still
        expires_at     TEXT,
        cleared_seq    INTEGER NOT NULL DEFAULT 0,
        cleared_tokens INTEGER NOT NULL DEFAULT 0
    )
    """,
    # A session that has ended leaves its key to the next one.
    """
    CREATE UNIQUE INDEX sessions_by_key ON sessions (bot_id, interface, chat_id, user_id)
    WHERE state NOT IN ('expired', 'closed')
    """,
    "CREATE INDEX sessions_by_user ON sessions (user_id)",
    "CREATE INDEX sessions_due ON sessions (expires_at) WHERE expires_at IS NOT NULL",
    """
    CREATE TABLE session_state (
        session_id TEXT PRIMARY KEY,
        variables  TEXT NOT NULL DEFAULT '{}',
        context    TEXT NOT NULL DEFAULT '{}',
        version    INTEGER NOT NULL DEFAULT 0
    ) WITHOUT ROWID
    """,
    # What a session was called before it was merged into another.
    """
    CREATE TABLE aliases (
        alias      TEXT PRIMARY KEY,
        seq        INTEGER NOT NULL UNIQUE,
        session_id TEXT NOT NULL
    ) WITHOUT ROWID
    """,
    "CREATE INDEX aliases_by_session ON aliases (session_id)",
    # Keys that lead to a session beside its own: after a merge, or a move to another channel.
    """
    CREATE TABLE key_aliases (
        bot_id     TEXT NOT NULL,
        interface  TEXT NOT NULL,
        chat_id    TEXT NOT NULL,
        user_id    TEXT NOT NULL,
        session_id TEXT NOT NULL,
        PRIMARY KEY (bot_id, interface, chat_id, user_id)
    ) WITHOUT ROWID
    """,
    "CREATE INDEX key_aliases_by_session ON key_aliases (session_id)",
    # Kept up in the same transactions, so that nobody has to count.
    """
    CREATE TABLE counters (
        interface       TEXT PRIMARY KEY,
        sessions        INTEGER NOT NULL DEFAULT 0,
        messages        INTEGER NOT NULL DEFAULT 0,
        tokens          INTEGER NOT NULL DEFAULT 0,
        active          INTEGER NOT NULL DEFAULT 0,
        active_messages INTEGER NOT NULL DEFAULT 0
    ) WITHOUT ROWID
    """,
)

CONVERSATIONS: Final = (
    # Rows of a conversation lie together; `cum_tokens` is the sum up to and with this row.
    """
    CREATE TABLE messages (
        session_id TEXT NOT NULL,
        seq        INTEGER NOT NULL,
        role       TEXT NOT NULL,
        content    TEXT NOT NULL,
        tokens     INTEGER NOT NULL,
        cum_tokens INTEGER NOT NULL,
        timestamp  TEXT NOT NULL,
        media      TEXT,
        metadata   TEXT,
        PRIMARY KEY (session_id, seq)
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE summaries (
        session_id TEXT NOT NULL,
        first      INTEGER NOT NULL,
        last       INTEGER NOT NULL,
        text       TEXT NOT NULL,
        tokens     INTEGER NOT NULL,
        messages   INTEGER NOT NULL,
        level      INTEGER NOT NULL,
        created_at TEXT NOT NULL,
        PRIMARY KEY (session_id, first)
    ) WITHOUT ROWID
    """,
)

TURNS: Final = (
    # Once a message is answered its text lives in `messages` alone; the row stays to know a copy.
    """
    CREATE TABLE inbox (
        position     INTEGER PRIMARY KEY,
        id           TEXT NOT NULL UNIQUE,
        session_id   TEXT NOT NULL,
        channel_type TEXT NOT NULL,
        account      TEXT NOT NULL,
        channel_id   TEXT NOT NULL,
        message_id   TEXT NOT NULL,
        message      TEXT,
        state        TEXT NOT NULL DEFAULT 'waiting',
        attempts     INTEGER NOT NULL DEFAULT 0,
        error        TEXT,
        created_at   TEXT NOT NULL,
        UNIQUE (channel_type, account, channel_id, message_id)
    )
    """,
    "CREATE INDEX inbox_open ON inbox (state, session_id) WHERE state <> 'done'",
    """
    CREATE TABLE outbox (
        position     INTEGER PRIMARY KEY,
        id           TEXT NOT NULL UNIQUE,
        inbox_id     TEXT NOT NULL,
        session_id   TEXT NOT NULL,
        channel_type TEXT NOT NULL,
        account      TEXT NOT NULL,
        channel_id   TEXT NOT NULL,
        message      TEXT,
        state        TEXT NOT NULL DEFAULT 'waiting',
        attempts     INTEGER NOT NULL DEFAULT 0,
        error        TEXT,
        platform_ids TEXT,
        created_at   TEXT NOT NULL
    )
    """,
    "CREATE INDEX outbox_open ON outbox (state, session_id) WHERE state <> 'sent'",
    """
    CREATE TABLE leases (
        partition INTEGER PRIMARY KEY,
        epoch     INTEGER NOT NULL,
        holder    TEXT,
        pid       INTEGER,
        host      TEXT,
        since     TEXT
    )
    """,
)

PEOPLE: Final = (
    """
    CREATE TABLE tokens (
        hash       TEXT PRIMARY KEY,
        session_id TEXT NOT NULL,
        created_at TEXT NOT NULL,
        expires_at TEXT
    ) WITHOUT ROWID
    """,
    "CREATE INDEX tokens_by_session ON tokens (session_id)",
    """
    CREATE TABLE memories (
        scope TEXT NOT NULL,
        owner TEXT NOT NULL,
        name  TEXT NOT NULL,
        value TEXT NOT NULL,
        PRIMARY KEY (scope, owner, name)
    ) WITHOUT ROWID
    """,
)

DIALOGS: Final = (
    # One dialog at a time may be open in a session.
    """
    CREATE TABLE journals (
        id         TEXT PRIMARY KEY,
        session_id TEXT NOT NULL,
        plugin     TEXT NOT NULL,
        open       INTEGER NOT NULL
    ) WITHOUT ROWID
    """,
    "CREATE INDEX journals_by_session ON journals (session_id)",
    "CREATE UNIQUE INDEX journals_open ON journals (session_id) WHERE open",
    """
    CREATE TABLE journal_entries (
        journal_id TEXT NOT NULL,
        n          INTEGER NOT NULL,
        turn       TEXT NOT NULL,
        kind       TEXT NOT NULL,
        name       TEXT NOT NULL,
        value      TEXT NOT NULL,
        said       INTEGER NOT NULL,
        PRIMARY KEY (journal_id, n)
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE timers (
        id         TEXT PRIMARY KEY,
        session_id TEXT NOT NULL,
        kind       TEXT NOT NULL,
        due        TEXT NOT NULL,
        message    TEXT NOT NULL
    ) WITHOUT ROWID
    """,
    "CREATE INDEX timers_by_due ON timers (due)",
    "CREATE INDEX timers_by_session ON timers (session_id)",
    "ALTER TABLE inbox ADD COLUMN kind TEXT NOT NULL DEFAULT 'message'",
)

# Who has talked lately, without a look at everybody who ever did.
ACTIVITY: Final = ("CREATE INDEX sessions_by_activity ON sessions (last_activity)",)

MIGRATIONS: Final[tuple[tuple[str, ...], ...]] = (
    SESSIONS + CONVERSATIONS + TURNS + PEOPLE,
    DIALOGS,
    ACTIVITY,
)
VERSION: Final = len(MIGRATIONS)
