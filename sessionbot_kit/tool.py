"""A tool: a typed Python function that a language model may ask to have called.

    @tool
    def add(a: int, b: int) -> int:
        '''Add two numbers.'''               # what the model gets to know
        return a + b

    @tool(acts=True)                         # it changes something: a person is asked first
    async def send_invoice(customer: str) -> str: ...

The schema comes from the signature, and arguments are checked against it before anything runs. The
one rule to remember: **a model only asks**; whether a tool runs is decided by the allow list, and
for one that acts, by the person.
"""

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, overload

from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from sessionbot_kit.errors import PluginError, UsageError
from sessionbot_kit.llm import ToolSpec

MOST_ARGUMENT_CHARS: Final = 20_000


@dataclass(frozen=True, slots=True)
class Tool:
    """A function and what a model is told of it."""

    spec: ToolSpec
    function: Callable[..., Any] = field(repr=False)
    acts: bool = False
    arguments: type[BaseModel] = field(default=BaseModel, repr=False)

    @property
    def name(self) -> str:
        return self.spec.name

    def check(self, arguments: str) -> dict[str, Any]:
        """What a model wrote, as the function takes it; UsageError if it does not fit."""
        if len(arguments) > MOST_ARGUMENT_CHARS:
            raise UsageError(f"{self.name} was given {len(arguments):,} characters; write less")
        try:
            checked = self.arguments.model_validate_json(arguments or "{}", strict=False)
        except ValidationError as error:
            faults = "; ".join(
                f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}".removeprefix(": ")
                for fault in error.errors(include_url=False)
            )
            raise UsageError(f"{self.name} cannot be called like this: {faults}") from None
        return {name: getattr(checked, name) for name in type(checked).model_fields}

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(*args, **kwargs)


@overload
def tool(function: Callable[..., Any], /) -> Tool: ...
@overload
def tool(
    *, name: str | None = None, acts: bool = False
) -> Callable[[Callable[..., Any]], Tool]: ...
def tool(
    function: Callable[..., Any] | None = None, /, *, name: str | None = None, acts: bool = False
) -> Any:
    """Make a tool of a function; what cannot be one is refused here, with a sentence."""

    def declare(function: Callable[..., Any]) -> Tool:
        called = name or function.__name__
        if not re.fullmatch(r"[a-zA-Z_][\w-]{0,63}", called, re.ASCII):
            raise PluginError(f"{called!r} names no tool; use letters, digits and _")
        arguments = _arguments(function, called)
        schema = arguments.model_json_schema()
        schema.pop("title", None)
        description = inspect.cleandoc(function.__doc__ or "")
        if not description:
            raise PluginError(
                f"the tool {called} has no docstring; a model needs to know what it does"
            )
        return Tool(ToolSpec(called, description, schema), function, acts, arguments)

    return declare if function is None else declare(function)


def _arguments(function: Callable[..., Any], name: str) -> type[BaseModel]:
    fields: dict[str, Any] = {}
    hints = inspect.signature(function, eval_str=True).parameters
    for parameter in hints.values():
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            raise PluginError(f"the tool {name} takes *{parameter.name}; name what it takes")
        if parameter.annotation is parameter.empty:
            raise PluginError(
                f"the tool {name} does not say what {parameter.name} is; add its type"
            )
        default = ... if parameter.default is parameter.empty else parameter.default
        fields[parameter.name] = (parameter.annotation, default)
    config = ConfigDict(extra="forbid", arbitrary_types_allowed=False)
    try:
        return create_model(name, __config__=config, **fields)
    except Exception as error:  # pydantic, on whatever types somebody has written
        raise PluginError(f"the tool {name} takes what has no schema: {error}") from error
