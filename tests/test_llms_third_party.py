"""An exchange with a fake of the OpenAI API that others have written."""

import asyncio
import os
import shutil
import socket
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from sessionbot_kit.errors import ModelError
from sessionbot_kit.llm import ToolSpec
from sessionbot_kit.llms import OpenAICompatible

pytestmark = pytest.mark.needs("openai-mock-api")

CONVERSATIONS = """
apiKey: sk-third-party
responses:
  - id: greeting
    messages:
      - {role: user, content: "Hello!"}
      - {role: assistant, content: "Hello from a third party, mit Grüßen."}
  - id: sum
    messages:
      - {role: user, content: "Add 1 and 2."}
      - role: assistant
        tool_calls:
          - {id: call_1, type: function, function: {name: add, arguments: '{"a": 1, "b": 2}'}}
"""


@pytest_asyncio.fixture
async def url(tmp_path: Path) -> AsyncIterator[str]:
    config = tmp_path / "conversations.yaml"
    config.write_text(CONVERSATIONS, "utf-8")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program = shutil.which("openai-mock-api")
    assert program is not None
    process = await asyncio.create_subprocess_exec(
        *(program, "--config", str(config), "--port", str(port)),
        stdout=PIPE,
        stderr=STDOUT,
        env={**os.environ, "NO_COLOR": "1"},
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(30):
            while b"started on port" not in (line := await process.stdout.readline()):
                assert line, "openai-mock-api has ended"
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        if process.returncode is None:
            process.terminate()
        await process.communicate()


async def test_it_answers_piece_by_piece_and_as_a_whole(url: str) -> None:
    pieces: list[str] = []

    async def show(piece: str) -> None:
        pieces.append(piece)

    async with OpenAICompatible(url, model="gpt-4", key="sk-third-party") as model:
        hello = [{"role": "user", "content": "Hello!"}]
        streamed = await model.chat(hello, stream=show)
        whole = await model.chat(hello)
        assert await model.models() == ["gpt-3.5-turbo", "gpt-4"]
    assert "".join(pieces) == streamed.content == whole.content
    assert whole.content == "Hello from a third party, mit Grüßen."
    assert len(pieces) > 1
    assert whole.usage.completion_tokens > 0
    assert not whole.usage.estimated


async def test_it_calls_a_tool(url: str) -> None:
    async with OpenAICompatible(url, model="gpt-4", key="sk-third-party") as model:
        done = await model.chat(
            [{"role": "user", "content": "Add 1 and 2."}],
            tools=[ToolSpec("add", "Add two numbers.", {"type": "object", "properties": {}})],
        )
    assert [(call.name, call.arguments) for call in done.tool_calls] == [
        ("add", '{"a": 1, "b": 2}')
    ]


async def test_it_refuses_a_wrong_key_and_the_sentence_says_so(url: str) -> None:
    async with OpenAICompatible(url, model="gpt-4", key="sk-wrong") as model:
        with pytest.raises(ModelError, match=r"status 401.*check the key") as caught:
            await model.chat([{"role": "user", "content": "Hello!"}])
    assert caught.value.status == 401
