"""Every error of the house, one tree, cut by whose fault it is.

    KitError
    ├── UsageError          yours: a call, a plugin or a setting that cannot work
    │   ├── MessageError    a message that no channel could carry
    │   ├── PluginError     a plugin that is wrong where it is declared
    │   ├── SettingsError   a setting that is missing or of the wrong kind
    │   ├── DialogTooLong   a dialog with more steps than a journal holds
    │   └── SessionError    a session that cannot do what was asked
    │       ├── SessionUnknown          there is none of this name
    │       ├── SessionEnded            it has expired or was closed
    │       ├── AddressMissing          nobody knows where to reach the person there
    │       └── VariableQuotaExceeded   its variables take too much room
    ├── NoAnswer            the person's: a question that was not answered in time
    ├── WireError           theirs: a peer that breaks the rules
    │   ├── FragmentError   a fragment that must not be believed
    │   ├── RecordError     a record of a swarm that must not be believed
    │   └── LinkClosed      the other side has gone
    ├── AccessError         the visitor's: somebody who may not come in, or not now
    │   ├── TokenUnknown    nobody was given this token, or it was replaced
    │   ├── TokenExpired    it was good once
    │   ├── TokenForeign    it opens another session
    │   ├── TokenEnded      its session has expired or was closed
    │   ├── TokenTooNarrow  it opens another door than this one
    │   └── RateLimited     too much at once
    ├── ChannelError        the platform's: a channel that could not send or receive
    │   ├── NodeError       one node of a network that refused, lied or did not answer
    │   └── SendRefused     a platform that will never take this message
    ├── ModelError          a language model's: no answer, or none that can be used
    └── StoreError          the world's: a disk, a lock, a file
        ├── StoreBusy       locked by somebody for too long
        ├── StoreFull       no room on the disk
        ├── StoreTooNew     written by a newer version
        ├── StoreHeld       another gateway serves this store
        ├── StoreConflict   somebody else wrote first
        └── StaleLease      this gateway has lost its lease and must not write

A message has three parts: what happened, with which value, what to do.
"""


class KitError(Exception):
    """The root: catch this to catch everything that the toolkit raises on purpose."""


class UsageError(KitError):
    """A call, a plugin or a setting that cannot work as it was written."""


class MessageError(UsageError):
    """A message that no channel could carry."""


class PluginError(UsageError):
    """A plugin that is wrong where it is declared."""


class SettingsError(UsageError):
    """A setting that is missing, misspelled or of the wrong kind."""


class DialogTooLong(UsageError):
    """A dialog took more steps, or larger ones, than its journal may hold."""


class NoAnswer(KitError, TimeoutError):
    """A question was not answered in time, and had no default."""


class SessionError(UsageError):
    """A session cannot do what was asked of it."""


class SessionUnknown(SessionError):
    """There is no session of this id, number or key."""


class SessionEnded(SessionError):
    """The session has expired or was closed, and takes no more messages."""


class AddressMissing(SessionError):
    """Nobody knows where to reach the person on that channel."""


class VariableQuotaExceeded(SessionError):
    """The variables of a session take too much room."""


class WireError(KitError):
    """A peer broke the rules of the link."""


class FragmentError(WireError):
    """A fragment that must not be believed.

    `code` is for programs, `message_id` names the message that is lost by it (None when the
    fragment could not even be read), and `fatal` says whether the connection must close.
    """

    def __init__(
        self, code: str, detail: str, *, message_id: str | None = None, fatal: bool = False
    ) -> None:
        super().__init__(detail)
        self.code = code
        self.message_id = message_id
        self.fatal = fatal


class RecordError(WireError):
    """A record that somebody left in a swarm must not be believed."""


class LinkClosed(WireError):
    """The other side of a link has gone."""


class AccessError(KitError):
    """Somebody may not come in, or not now. `code` is for programs."""

    code = "refused"


class TokenUnknown(AccessError):
    """Nobody was given this token, or a newer one has replaced it."""

    code = "token_unknown"


class TokenExpired(AccessError):
    """The token was good once."""

    code = "token_expired"


class TokenForeign(AccessError):
    """The token opens another session."""

    code = "token_foreign"


class TokenEnded(AccessError):
    """The session of this token has expired or was closed."""

    code = "session_ended"


class TokenTooNarrow(AccessError):
    """The token is good, but its scope does not open this."""

    code = "token_too_narrow"


class RateLimited(AccessError):
    """Too much at once; `retry_after` says in how many seconds there is room again."""

    code = "rate_limited"

    def __init__(self, detail: str, *, retry_after: float) -> None:
        super().__init__(detail)
        self.retry_after = retry_after


class ChannelError(KitError):
    """A channel could not send or receive."""


class NodeError(ChannelError):
    """One node of a network refused, lied or did not answer; another may do better.

    `status` is the code that it gave (0 when it gave none) and `body` what came with it.
    """

    def __init__(self, status: int, detail: str, *, body: object = None) -> None:
        super().__init__(detail)
        self.status = status
        self.body = body


class SendRefused(ChannelError):
    """A platform refuses a message for good; to send it again would not help."""


class ModelError(KitError):
    """A language model did not answer, or not in a way that can be used.

    `status` is that of its server (0 when it gave none), `retry_after` when it may be asked again,
    and `partial` the text that had come before it broke off.
    """

    def __init__(
        self,
        detail: str,
        *,
        status: int = 0,
        retry_after: float | None = None,
        partial: str = "",
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.retry_after = retry_after
        self.partial = partial


class StoreError(KitError):
    """The store could not do what it was asked, because of the world around it."""


class StoreBusy(StoreError):
    """The store is locked by somebody else, for longer than we may wait."""


class StoreFull(StoreError):
    """The disk has no room left."""


class StoreTooNew(StoreError):
    """The store was written by a newer version of the toolkit."""


class StoreHeld(StoreError):
    """Another gateway serves this store."""


class StoreConflict(StoreError):
    """Somebody else wrote first; read again and repeat."""


class StaleLease(StoreError):
    """This gateway has lost its lease and must not write."""
