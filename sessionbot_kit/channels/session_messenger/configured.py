"""The channel as the settings want it.

    channel = configured(settings.plugins.section("session_messenger"),
                         home=settings.home, environ=os.environ)

`SESSION_BOT_MNEMONIC` and `CLIENT_NAME` in the environment go before the section; without a
phrase anywhere, the bot has an identity of its own in `home`, made the first time.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sessionbot_kit.channels.session_messenger.channel import SessionMessenger
from sessionbot_kit.channels.session_messenger.incoming import Manners
from sessionbot_kit.channels.session_messenger.pace import Pace
from sessionbot_kit.channels.session_messenger.phrase_file import (
    NAME_VARIABLE,
    PHRASE_FILE,
    PHRASE_VARIABLE,
    open_identity,
    publish,
)
from sessionbot_kit.channels.session_messenger.seeds import FILE_SERVER
from sessionbot_kit.errors import SettingsError

Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Section(BaseModel):
    """What can be set under `plugins: session_messenger:`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    mnemonic: str | None = Field(None, repr=False, description="The recovery phrase, 13 words")
    client_name: str | None = Field(None, description="The name that people see")
    account: str = Field("default", description="Which of several accounts this is")
    proxy: str | None = Field(None, description="Where all traffic goes: socks5://host:port")
    file_server: str = Field(FILE_SERVER, description="Where files are left and fetched")
    fast_poll_s: Seconds = Field(0.8, description="Wait between two looks while somebody talks")
    slow_poll_s: Seconds = Field(5.0, description="Wait between two looks while nobody does")
    active_s: Seconds = Field(120.0, description="How long a talk counts as going on")
    approve_requests: bool = Field(True, description="Answer message requests with yes")
    send_receipts: bool = Field(False, description="Tell people that their message was read")
    max_media_bytes: int = Field(25_000_000, ge=0, description="Size of a message's files together")


def configured(
    section: Mapping[str, object], *, home: Path, environ: Mapping[str, str]
) -> SessionMessenger:
    """Make the channel; SettingsError names what cannot be."""
    try:
        chosen = Section.model_validate(dict(section))
    except ValidationError as error:
        faults = error.errors(include_url=False, include_input=False)
        told = "; ".join(f"{fault['loc'][0]}: {fault['msg']}" for fault in faults)
        # Not `from error`: it would show what was given, the phrase included.
        raise SettingsError(f"plugins: session_messenger: {told}") from None
    identity = open_identity(
        home / PHRASE_FILE, phrase=environ.get(PHRASE_VARIABLE) or chosen.mnemonic
    )
    publish(identity, home)
    return SessionMessenger(
        identity,
        folder=home / "session_messenger",
        client_name=environ.get(NAME_VARIABLE) or chosen.client_name,
        file_server=chosen.file_server,
        proxy=chosen.proxy,
        pace=Pace(fast_s=chosen.fast_poll_s, slow_s=chosen.slow_poll_s, active_s=chosen.active_s),
        manners=Manners(
            account=chosen.account,
            approve_requests=chosen.approve_requests,
            send_receipts=chosen.send_receipts,
            max_media_bytes=chosen.max_media_bytes,
        ),
    )
