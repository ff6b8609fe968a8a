"""How sessions look in a notebook and in a terminal."""

from sessionbot_kit.sessions import SessionManager, SessionTable
from tests.sessions.conftest import Begin, Clock


async def test_sessions_are_a_table_in_text_and_in_html(
    sessions: SessionManager, begin: Begin
) -> None:
    session = await begin()
    await sessions.add_message(session.id, "user", "Hello!")
    await begin("<b>bob</b>", "telegram", bot="sales")
    table = await sessions.list()
    assert repr(table).splitlines() == [
        "Sessions",
        "#  session                       state   messages  tokens  last spoken (UTC)",
        "─  ────────────────────────────  ──────  ────────  ──────  ─────────────────",
        "2  sales:telegram/c1/<b>bob</b>  new            0       0  2026-01-02 03:04",
        "1  web/c1/u1                     active         1       2  2026-01-02 03:04",
    ]
    html = table._repr_mimebundle_()["text/html"]
    assert "&lt;b&gt;bob" in html
    assert "<script" not in html


async def test_a_session_shows_its_facts_and_its_newest_lines(
    sessions: SessionManager, begin: Begin
) -> None:
    session = await begin()
    await sessions.set_variables(session.id, {"password": "hunter2"})
    session = await sessions.add_message(session.id, "user", "Hello!")
    bundle = session._repr_mimebundle_()
    assert bundle["text/plain"].splitlines()[:9] == [
        "Session 1",
        f"  id             {session.id}",
        "  key            web/c1/u1",
        "  state          active, anonymous",
        "  messages       1",
        "  tokens         2 of 4,000",
        "  summaries      0",
        "  variables      password",
        "  context",
    ]
    assert "Hello!" in bundle["text/html"]
    assert "hunter2" not in bundle["text/plain"] + bundle["text/html"]


async def test_a_session_is_one_line_in_a_list(begin: Begin) -> None:
    session = await begin()
    assert repr([session]) == f"[{session}]" == "[<session 1 web/c1/u1: new, 0 messages>]"


async def test_a_long_session_says_how_much_it_does_not_show(
    sessions: SessionManager, begin: Begin
) -> None:
    session = await begin()
    for number in range(25):
        session = await sessions.add_message(session.id, "user", f"line {number}")
    assert session.table().text().splitlines()[-1] == "5 lines before these are not shown"


async def test_summaries_come_before_the_lines(sessions: SessionManager, begin: Begin) -> None:
    session = await begin()
    for _ in range(25):
        session = await sessions.add_message(session.id, "user", "long " * 100)
    assert session.table().text().splitlines()[3].startswith("1-16  summary")


async def test_a_long_table_says_how_many_it_does_not_show(begin: Begin) -> None:
    table = SessionTable([await begin()] * 1_234)
    assert repr(table).splitlines()[-1] == "and 1,134 more"
    assert len(repr(table).splitlines()) == 104


async def test_a_manager_shows_the_sessions_in_memory(
    sessions: SessionManager, begin: Begin
) -> None:
    await begin()
    assert "web/c1/u1" in sessions._repr_mimebundle_()["text/plain"]
    assert repr(sessions).endswith("1 sessions in memory)")


async def test_a_history_is_read_as_a_table_of_data(
    sessions: SessionManager, begin: Begin, clock: Clock
) -> None:
    session = await begin()
    await sessions.add_message(session.id, "user", "Hello!")
    rows = await sessions.history(session.id)
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    assert columns == {
        "seq": [1],
        "role": ["user"],
        "content": ["Hello!"],
        "tokens": [2],
        "timestamp": [clock.now],
    }
