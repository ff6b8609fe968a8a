"""Language models; each fulfils the contract in `sessionbot_kit.llm`.

    model = open_model({"url": "http://127.0.0.1:11434/v1", "model": "llama3.2"})
    model = open_model({"kind": "scripted"})       # no model at all, and it says so
    open_model({})                                 # None: nothing is configured, nothing is called

`kind` is `openai_compatible` (the default where there is a `url`), `scripted`, or the name of an
entry point in the group `sessionbot_kit.llms`: a function that takes the section and gives a model.
The one rule to remember: **without a URL nothing leaves this machine.**
"""

from collections.abc import Mapping
from importlib.metadata import entry_points
from typing import Any, Final, cast

from sessionbot_kit.errors import SettingsError
from sessionbot_kit.llm import LanguageModel
from sessionbot_kit.llms.openai_compatible import ModelLimits, OpenAICompatible
from sessionbot_kit.llms.scripted import Scripted

GROUP: Final = "sessionbot_kit.llms"
OURS: Final = ("openai_compatible", "scripted")

__all__ = ["ModelLimits", "OpenAICompatible", "Scripted", "open_model"]


def open_model(section: Mapping[str, Any]) -> LanguageModel | None:
    """The model that a section of the settings describes; None when it describes none."""
    kind = section.get("kind") or ("openai_compatible" if section.get("url") else None)
    match kind:
        case None:
            return None
        case "scripted":
            return Scripted(section.get("script", ()))
        case "openai_compatible":
            return OpenAICompatible.of(section)
    for entry in entry_points(group=GROUP, name=str(kind)):
        return cast(LanguageModel, entry.load()(section))
    known = sorted({*OURS, *(entry.name for entry in entry_points(group=GROUP))})
    raise SettingsError(
        f"there is no kind of language model {kind!r}; there are {', '.join(known)}"
    )
