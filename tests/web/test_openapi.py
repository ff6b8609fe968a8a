"""The API does what it says that it does, whatever it is asked."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import (
    not_a_server_error,
)
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from checks import api_page
from sessionbot_kit.rest import OPERATIONS, document
from tests.web.people import ADMIN, house

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


def test_every_operation_is_described_with_its_answers_and_who_may() -> None:
    paths = document(OPERATIONS)["paths"]
    for operation in OPERATIONS:
        told = paths[operation.path][operation.method.lower()]
        assert told["summary"]
        assert ("security" in told) == (operation.scope != "anybody")
        assert set(map(str, operation.answers)) < set(told["responses"])


def test_names_of_operations_are_unique() -> None:
    names = [operation.name for operation in OPERATIONS]
    assert len(names) == len(set(names))


def test_the_page_of_the_documents_is_the_one_that_the_api_would_write() -> None:
    assert api_page.PAGE.read_text("utf-8") == api_page.page()


@contextmanager
def door(folder: Path) -> Iterator[str]:
    """A bot with its door, in a thread of its own: schemathesis does not wait in ours."""
    ready, over = threading.Event(), threading.Event()
    found: list[str] = []

    async def serve() -> None:
        limits: dict[str, Any] = dict.fromkeys(
            ("asks_per_minute", "sessions_per_minute"), 1_000_000
        )
        async with house(folder, failures_per_minute=1_000_000, **limits) as home:
            home.bot.sessions.rate.per_minute = 1_000_000
            token = (await home.visitor())["Authorization"]
            await home.admin("create", conversationId=1)
            found.extend([home.door.url, token])
            ready.set()
            await asyncio.to_thread(over.wait)

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        assert ready.wait(20)
        yield " ".join(found)
    finally:
        over.set()
        thread.join()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    with door(tmp_path_factory.mktemp("door")) as told:
        url, _, token = told.partition(" ")
        yield url, token


def asked(place: tuple[str, str], label: str, mode: GenerationMode, examples: int) -> int:
    """Ask one operation many things; how many were asked."""
    url, token = place
    schema: Any = schemathesis.openapi.from_dict(document(OPERATIONS))
    method, _, path = label.partition(" ")
    operation = schema[path][method]
    scope = next(o.scope for o in OPERATIONS if (o.method, o.path) == (method, path))
    count = 0

    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def ask(case: Any) -> None:
        nonlocal count
        headers = {} if scope == "anybody" else {"Authorization": token}
        if scope == "admin":
            headers = {"Authorization": f"Bearer {ADMIN}"}
        if label == "POST /api/chat" and isinstance(case.body, dict):
            case.body["wait_s"] = 0
        response = case.call(base_url=url, headers=headers, timeout=30)
        case.validate_response(response, checks=CHECKS)
        count += 1

    ask()
    return count


# Last is what ends the session that the others use.
LABELS = [
    f"{operation.method} {operation.path}"
    for operation in OPERATIONS
    if operation.path != "/api/session/token"
    and (operation.method, operation.path) != ("DELETE", "/api/session")
]


@pytest.mark.parametrize("label", LABELS)
def test_no_question_brings_an_answer_that_is_not_described(
    place: tuple[str, str], label: str
) -> None:
    assert asked(place, label, GenerationMode.POSITIVE, 15) > 0


# What takes nothing cannot be asked wrongly.
WRONG = [
    f"{operation.method} {operation.path}"
    for operation in OPERATIONS
    if operation.body or any(parameter.schema for parameter in operation.parameters)
]


@pytest.mark.long
@pytest.mark.parametrize(
    ("label", "mode"),
    [(label, GenerationMode.POSITIVE) for label in LABELS]
    + [(label, GenerationMode.NEGATIVE) for label in LABELS if label in WRONG],
)
def test_many_questions_bring_no_answer_that_is_not_described(
    place: tuple[str, str], label: str, mode: GenerationMode
) -> None:
    asked(place, label, mode, 300)
