"""How a conversation begins: its context, its variables, and the first thing that the bot says.

    # templates/customer_support.yml
    knowledge: [policies, products]
    tools: [order_status]
    llm: {model: small, temperature: 0.2}
    prompts: [You help customers of a pizza shop.]
    variables: {language: en}
    message: Hello! How can I help?

    template = read_template(Path("templates"), "customer_support")

The one rule to remember: a template adds to a conversation, and never takes anything away.
"""

import re
from pathlib import Path

from pydantic import Field, JsonValue

from sessionbot_kit.errors import UsageError
from sessionbot_kit.models import Metadata, Model, Text


class Template(Model):
    """What a session is set up with."""

    knowledge: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    llm: Metadata = Field(default_factory=dict)
    prompts: tuple[Text, ...] = ()
    variables: Metadata = Field(default_factory=dict)
    message: Text = ""

    @property
    def context(self) -> dict[str, JsonValue]:
        return {
            "knowledge": list(self.knowledge),
            "tools": list(self.tools),
            "llm": self.llm,
            "prompts": list(self.prompts),
        }


def read_template(folder: Path, name: str) -> Template:
    """Read one template of a folder."""
    # A name comes from a dialog; it must not lead out of the folder.
    if not re.fullmatch(r"[\w-]+", name):
        raise UsageError(f"{name!r} is no name of a template; use letters, digits, _ and -")
    import yaml  # here, because every start of a bot would pay for it and few use templates

    path = folder / f"{name}.yml"
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        known = ", ".join(sorted(found.stem for found in folder.glob("*.yml"))) or "none"
        raise UsageError(f"{folder} has no template {name!r}; it has {known}") from None
    try:
        fields = yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        raise UsageError(f"{path} is not YAML: {error}") from error
    if not isinstance(fields, dict):
        raise UsageError(f"{path} is not a list of names and values; see the example in the docs")
    return Template(**fields)
