"""The benchmark harness: order, sums, goals, and the file of results."""

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.harness import Goal, Section, Table, at_least, at_most
from benchmarks.report import HEAD, Report, Row, TableReport, replaced, write_section

ROOT = Path(__file__).parents[1]


async def test_cases_take_turns_and_the_order_turns_by_one() -> None:
    order: list[str] = []

    def take(name: str) -> int:
        order.append(name)
        return len(order)

    table = Table("turns", "calls", rounds=2)
    table.sample("a", lambda: take("a"))
    table.sample("b", lambda: take("b"))
    await table.measure()
    assert "".join(order) == "ab" + "ab" + "ba"


async def test_a_slower_case_has_a_higher_time_and_a_lower_rate() -> None:
    for unit, amount in (("us", None), ("MB/s", 1.0)):
        table = Table("speed", unit, "short", amount, rounds=3)
        table.time("short", lambda: sum(range(10)), number=200)
        table.time("long", lambda: sum(range(20_000)), number=5)
        report = await table.measure()
        ratio = report.ratio(report.rows[1])
        assert ratio is not None
        assert (ratio > 1) == (unit == "us")


async def test_a_coroutine_function_is_awaited_each_time() -> None:
    calls = 0

    async def work() -> None:
        nonlocal calls
        calls += 1

    table = Table("async", rounds=2)
    table.time("work", work, number=5)
    await table.measure()
    assert calls == (1 + 2) * 5


async def test_a_fresh_process_gives_the_number_it_prints_last() -> None:
    table = Table("process", "MB", rounds=1)
    table.process("printed", ["-c", "print('noise'); print(41 + 1)"])
    report = await table.measure()
    assert report.rows[0].median == 42


async def test_a_process_that_fails_is_named_with_what_it_said() -> None:
    table = Table("process", "MB", rounds=1)
    table.process("broken", ["-c", "raise SystemExit('no such thing')"])
    with pytest.raises(RuntimeError, match=r"broken ended with 1: no such thing"):
        await table.measure()


async def test_what_is_not_a_number_is_refused() -> None:
    table = Table("numbers", "MB", rounds=1)
    table.sample("text", lambda: "many")
    with pytest.raises(RuntimeError, match="text gave 'many' where a number was expected"):
        await table.measure()


async def test_a_table_that_compares_with_nobody_is_refused() -> None:
    table = Table("alone", against="somebody")
    table.time("me", lambda: None)
    with pytest.raises(ValueError, match="compares with 'somebody', which is not a case"):
        await table.measure()


def test_two_cases_of_one_name_are_refused() -> None:
    table = Table("twice")
    table.time("me", lambda: None)
    with pytest.raises(ValueError, match="two cases called 'me'"):
        table.time("me", lambda: None)


def test_a_rate_needs_an_amount() -> None:
    with pytest.raises(ValueError, match="give the amount that a call handles"):
        Table("rate", "MB/s").time("me", lambda: None)


def test_the_sum_is_the_median_the_quartiles_and_the_ratio() -> None:
    ours = Row("ours", (2.0, 4.0, 100.0, 3.0, 1.0), at_most(2.0))
    theirs = Row("theirs", (2.0, 2.0, 2.0), None)
    table = TableReport("t", "ms", (ours, theirs), "theirs", 5)
    assert (ours.median, ours.spread, table.ratio(ours)) == (3.0, 2.0, 1.5)
    assert table.cells()[1] == ["ours", "3.00 ms", "2.00 ms", "1.50x", "at most 2x", "met"]


@pytest.mark.parametrize(
    ("goal", "met"),
    [
        (at_most(1.5), True),
        (at_most(1.4), False),
        (at_least(1.5), True),
        (at_least(1.6), False),
        (at_most(3.0, "ms"), True),
        (at_most(2.9, "ms"), False),
    ],
)
def test_a_goal_bounds_the_ratio_or_with_a_unit_the_median(goal: Goal, met: bool) -> None:
    rows = (Row("a", (3.0,), goal), Row("b", (2.0,), None))
    assert TableReport("t", "ms", rows, "b", 1).met(rows[0]) is met


def test_a_goal_on_a_ratio_without_a_partner_is_refused() -> None:
    table = TableReport("t", "ms", (Row("a", (1.0,), at_most(2)),), None, 1)
    with pytest.raises(ValueError, match="needs a case to compare with"):
        table.cells()


def test_a_missed_goal_is_named() -> None:
    table = TableReport("Encode", "ms", (Row("a", (3.0,), at_most(1, "ms")),), None, 1)
    report = Report("key", "Title", "", "python -m x", (), (table,))
    assert report.missed() == ["Encode: a"]
    assert "| a | 3.00 ms | 0 ms |  | at most 1 ms | **missed** |" in report.markdown()


def test_writing_a_section_again_changes_that_section_alone(tmp_path: Path) -> None:
    path = tmp_path / "RESULTS.md"
    for key in ("link", "chunker", "store"):
        write_section(path, Report(key, f"The {key}", "", "python -m x", (), ()))
    before = path.read_text("utf-8")
    assert before.startswith(HEAD)
    assert before.index("The chunker") < before.index("The link") < before.index("The store")
    write_section(path, Report("link", "Another title", "", "python -m x", (), ()))
    assert path.read_text("utf-8") == before.replace("The link", "Another title")


def test_a_table_that_is_measured_alone_leaves_the_others_of_its_section_as_they_are(
    tmp_path: Path,
) -> None:
    path = tmp_path / "RESULTS.md"
    titles = ("Read | 1 MB", "Write")

    def write(*measured: tuple[str, float], notes: tuple[str, ...] = ()) -> str:
        tables = tuple(
            TableReport(title, "ms", (Row("a", (value,)),), None, 1) for title, value in measured
        )
        report = Report("disk", "The disk", "", "python -m x", (), tables, notes, titles)
        write_section(path, report)
        return path.read_text("utf-8")

    both = write(("Read | 1 MB", 1.0), ("Write", 2.0), notes=("A remark.",))
    assert write(("Write", 7.0), notes=("A remark.",)) == both.replace("2.00 ms", "7.00 ms")
    assert write(("Read | 1 MB", 1.0)).count("### ") == 2


async def test_a_table_that_was_not_asked_for_is_not_measured() -> None:
    section = Section("disk", "The disk")
    section.only = ["^read"]
    for title in ("Read", "Write"):
        table = section.table(title, rounds=1)
        table.sample("a", lambda: 1.0)
        await table.measure()
    assert [len(table.samples["a"]) for table in section.tables] == [1, 0]
    assert not section.wants("Write and read")


def test_a_section_may_hold_anything_but_its_own_end() -> None:
    document = replaced(HEAD, "b", r"\1 and <!-- a remark -->")
    assert replaced(document, "b", "x") == replaced(HEAD, "b", "x")


def test_a_script_prints_its_table_and_fails_when_a_goal_is_missed(tmp_path: Path) -> None:
    script = tmp_path / "bench_tiny.py"
    script.write_text(
        "from benchmarks.harness import Goal, Section, at_most\n"
        "async def main(section):\n"
        "    table = section.table('Sizes', unit='MB')\n"
        "    table.sample('big', lambda: 5, goal=at_most(4, 'MB'))\n"
        "    await table.measure()\n"
        "Section('tiny', 'Tiny').run(main)\n"
    )
    done = subprocess.run(
        [sys.executable, str(script), "--quick"],
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 1
    assert "big   5.00 MB    0 MB         at most 4 MB  **missed**" in done.stdout


def test_a_quick_section_runs_three_rounds() -> None:
    section = Section("key", "Title")
    section.quick = True
    assert section.table("t", rounds=50).rounds == 3
