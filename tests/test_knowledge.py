"""Collections of documents: found, cited, kept up to date, and apart from each other."""

import asyncio
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterable, Sequence
from pathlib import Path

import pytest
import pytest_asyncio

from sessionbot_kit.cli import main
from sessionbot_kit.errors import StoreBusy, StoreError, UsageError
from sessionbot_kit.knowledge import Knowledge, Progress
from sessionbot_kit.knowledge.index import Index
from sessionbot_kit.knowledge.index_file import writing
from sessionbot_kit.llms import Scripted

ROOT = Path(__file__).parents[1]
LEASE = "# Lease\n\n## Rent\n\nThe rent is due on the first of each month.\n\n## Pets\n\nOne cat."
AN_HOUR_AGO = 3_600


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "documents"
    folder.mkdir()
    (folder / "lease.md").write_text(LEASE)
    (folder / "garden.txt").write_text("Water the tomatoes in the evening.\n")
    grow_old(folder.iterdir())
    return folder


def grow_old(files: Iterable[Path]) -> None:
    """What was written a moment ago is hashed again, to be sure; these were not."""
    for file in files:
        then = file.stat().st_mtime - AN_HOUR_AGO
        os.utime(file, (then, then))


@pytest_asyncio.fixture
async def knowledge(tmp_path: Path) -> AsyncIterator[Knowledge]:
    async with Knowledge(tmp_path / "knowledge.db") as knowledge:
        yield knowledge


# Finding


async def test_an_answer_is_found_with_its_file_and_lines(
    knowledge: Knowledge, folder: Path
) -> None:
    await knowledge.add("house", folder)
    (hit, *_) = await knowledge.search("When is the rent due?", among=["house"])
    assert (hit.citation, hit.heading) == ("lease.md:5", "Lease > Rent")
    assert "first of each month" in hit.text


async def test_forms_and_accents_of_a_word_find_each_other(
    knowledge: Knowledge, folder: Path
) -> None:
    await knowledge.add("house", folder)
    hits = await knowledge.search("watering a tömato", among=["house"])
    assert [hit.path for hit in hits] == ["garden.txt"]


async def test_where_words_find_next_to_nothing_those_that_are_alike_are_tried(
    knowledge: Knowledge, folder: Path
) -> None:
    await knowledge.add("house", folder)
    (hit,) = await knowledge.search("monthly?", among=["house"])
    assert (hit.heading, hit.found_by) == ("Lease > Rent", ("alike",))
    (hit,) = await knowledge.search("tomat", among=["house"])
    assert hit.path == "garden.txt"
    assert await knowledge.search("zebra", among=["house"]) == ()


async def test_a_question_without_words_finds_nothing(knowledge: Knowledge, folder: Path) -> None:
    await knowledge.add("house", folder)
    assert await knowledge.search("?!", among=["house"]) == ()
    assert await knowledge.search("rent", among=[]) == ()


async def test_several_collections_are_searched_together(
    knowledge: Knowledge, folder: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "car.txt").write_text("The rent of the car is due on Friday.")
    await knowledge.add("house", folder)
    await knowledge.add("car", other)
    hits = await knowledge.search("rent due", among=["house", "car"])
    assert {hit.collection for hit in hits} == {"house", "car"}


async def test_hits_are_a_table_in_a_notebook(knowledge: Knowledge, folder: Path) -> None:
    await knowledge.add("house", folder)
    hits = await knowledge.search("rent", among=["house"])
    shown = hits._repr_mimebundle_()
    assert "lease.md:5" in shown["text/plain"]
    assert "<table" in shown["text/html"]


# Apart


async def test_a_session_sees_its_own_collections_and_the_shared_ones(
    knowledge: Knowledge, folder: Path
) -> None:
    await knowledge.add("diary", folder, owner="session-ada")
    assert await knowledge.search("rent", among=["diary"], owner="session-ada")
    assert [s.name for s in await knowledge.status(owner="session-ada")] == ["diary"]
    assert await knowledge.status(owner="session-bob") == []


async def test_somebody_elses_collection_is_as_if_it_were_not_there(
    knowledge: Knowledge, folder: Path
) -> None:
    await knowledge.add("diary", folder, owner="session-ada")
    sentences = set()
    for name in ("diary", "nothing"):
        with pytest.raises(UsageError) as caught:
            await knowledge.search("rent", among=[name], owner="session-bob")
        sentences.add(str(caught.value).replace(name, "*"))
    assert len(sentences) == 1


async def test_two_sessions_may_have_collections_of_one_name(
    knowledge: Knowledge, folder: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "b.txt").write_text("Bob pays no rent.")
    await knowledge.add("diary", folder, owner="ada")
    await knowledge.add("diary", other, owner="bob")
    for owner, path in (("ada", "lease.md"), ("bob", "b.txt")):
        hits = await knowledge.search("rent", among=["diary"], owner=owner)
        assert {hit.path for hit in hits} == {path}


# Up to date


async def test_what_has_not_changed_is_not_opened(knowledge: Knowledge, folder: Path) -> None:
    assert (await knowledge.add("house", folder)).added == 2
    again = await knowledge.update("house")
    assert (again.unchanged, again.opened, again.passages) == (2, 0, 0)


async def test_what_was_touched_is_hashed_and_not_read_again(
    knowledge: Knowledge, folder: Path
) -> None:
    await knowledge.add("house", folder)
    os.utime(folder / "lease.md", (1, 1))
    touched = await knowledge.update("house")
    assert (touched.opened, touched.unchanged, touched.passages) == (1, 2, 0)
    assert (await knowledge.update("house")).opened == 0
    assert len(await knowledge.search("rent", among=["house"])) == 1


async def test_a_change_within_one_tick_of_the_clock_is_seen(
    knowledge: Knowledge, folder: Path
) -> None:
    file = folder / "lease.md"
    file.write_text("The rent is low. ")
    facts = file.stat()
    await knowledge.add("house", folder)
    file.write_text("The rent is high.")
    os.utime(file, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    await knowledge.update("house")
    (hit,) = await knowledge.search("rent", among=["house"])
    assert hit.text == "The rent is high."


async def test_what_changed_or_went_is_changed_or_gone(knowledge: Knowledge, folder: Path) -> None:
    await knowledge.add("house", folder)
    (folder / "lease.md").write_text("The deposit is two months.")
    (folder / "garden.txt").unlink()
    report = await knowledge.update("house")
    assert (report.changed, report.removed) == (1, 1)
    assert await knowledge.search("rent tomatoes", among=["house"]) == ()
    assert len(await knowledge.search("deposit", among=["house"])) == 1


async def test_progress_is_told_to_the_end(knowledge: Knowledge, folder: Path) -> None:
    told: list[Progress] = []
    await knowledge.add("house", folder, progress=told.append)
    assert [(p.done, p.total, p.path) for p in told] == [
        (0, 2, "garden.txt"),
        (1, 2, "lease.md"),
        (2, 2, ""),
    ]


async def test_a_collection_that_is_removed_is_gone_and_its_documents_stay(
    knowledge: Knowledge, folder: Path
) -> None:
    await knowledge.add("house", folder)
    await knowledge.remove("house")
    with pytest.raises(UsageError, match="there is no collection 'house'"):
        await knowledge.search("rent", among=["house"])
    assert (folder / "lease.md").exists()


# Documents as they are


async def test_what_cannot_be_read_is_left_out_with_its_reason(
    knowledge: Knowledge, folder: Path, tmp_path: Path
) -> None:
    (folder / "locked.txt").write_bytes(b"Salted__\0\1")
    (tmp_path / "secret.txt").write_text("The secret rent.")
    (folder / "link.txt").symlink_to(tmp_path / "secret.txt")
    os.mkfifo(folder / "pipe.txt")
    first, second = await knowledge.add("house", folder), await knowledge.update("house")
    assert set(first.problems) == {"locked.txt", "link.txt", "pipe.txt"}
    assert second.problems == first.problems
    assert len(await knowledge.search("secret rent", among=["house"])) == 1
    (status,) = await knowledge.status()
    assert (status.documents, set(status.problems)) == (2, set(first.problems))


async def test_a_document_that_is_deleted_while_it_is_read_is_no_error(
    knowledge: Knowledge, folder: Path
) -> None:
    def show(progress: Progress) -> None:
        if progress.path == "lease.md":
            (folder / "lease.md").unlink()

    report = await knowledge.add("house", folder, progress=show)
    assert report.problems == {"lease.md": "was deleted while it was read"}
    assert (await knowledge.update("house")).removed == 1


async def test_a_folder_that_is_gone_keeps_what_was_read(
    knowledge: Knowledge, folder: Path
) -> None:
    await knowledge.add("house", folder)
    shutil.move(folder, folder.with_name("away"))
    with pytest.raises(UsageError, match="bring the folder back"):
        await knowledge.update("house")
    assert await knowledge.search("rent", among=["house"])


@pytest.mark.parametrize("name", ["", "a\nb", "x" * 101])
async def test_a_name_that_is_none_is_refused(
    knowledge: Knowledge, folder: Path, name: str
) -> None:
    with pytest.raises(UsageError, match="names no collection"):
        await knowledge.add(name, folder)


async def test_a_folder_that_is_none_is_refused(knowledge: Knowledge, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is no folder"):
        await knowledge.add("house", tmp_path / "nowhere")


def test_a_large_document_needs_no_memory_of_its_size(tmp_path: Path) -> None:
    large_document(tmp_path, megabytes=8, most_kb=8_000)


@pytest.mark.long
def test_a_document_of_a_hundred_megabytes_goes_in(tmp_path: Path) -> None:
    large_document(tmp_path, megabytes=100, most_kb=40_000)


def large_document(tmp_path: Path, *, megabytes: int, most_kb: int) -> None:
    folder = tmp_path / "large"
    folder.mkdir()
    with (folder / "large.txt").open("w") as file:
        for number in range(megabytes * 10_000):
            file.write(
                f"Line {number} of a document that is very large, and goes on and on.".ljust(104)
            )
            file.write("\n" if number % 2 else " ")
        file.write("\nThe needle is at the end.")
    code = (
        "import resource, sys; from pathlib import Path; "
        "from sessionbot_kit.knowledge.index import Index; "
        f"index = Index(Path({str(tmp_path / 'k.db')!r})); "
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss; "
        f"index.declare('large', Path({str(folder)!r})); index.update('large'); "
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < most_kb
    index = Index(tmp_path / "k.db")
    ((_, hit),) = index.best("large", '"needle"', 1)
    assert hit.first == megabytes * 5_000 + 2
    index.close()


# Many at once, and killed


async def test_two_processes_index_one_folder_once(tmp_path: Path) -> None:
    folder = many_files(tmp_path, 300)
    processes = [indexing(tmp_path, folder) for _ in range(2)]
    said = [process.communicate(timeout=50)[0] for process in processes]
    assert sorted(int(line) for line in said) == [0, 300]
    async with Knowledge(tmp_path / "k.db") as knowledge:
        (status,) = await knowledge.status()
    assert (status.documents, status.passages) == (300, 300)


async def test_who_is_killed_in_the_middle_loses_nothing_that_was_read(tmp_path: Path) -> None:
    folder = many_files(tmp_path, 1_000)
    process = indexing(tmp_path, folder, "--slowly")
    assert process.stdout is not None
    assert await asyncio.to_thread(process.stdout.readline) == "450\n"
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=20)
    async with Knowledge(tmp_path / "k.db") as knowledge:
        (status,) = await knowledge.status()
        assert status.documents == status.passages == 400  # two transactions of 200
        report = await knowledge.update("many")
        assert (report.unchanged, report.added) == (400, 600)
        assert len(await knowledge.search("number 777", among=["many"], limit=1)) == 1
    with sqlite3.connect(tmp_path / "k.db") as file:
        assert file.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    file.close()


async def test_who_is_canceled_keeps_what_was_read(knowledge: Knowledge, tmp_path: Path) -> None:
    folder = many_files(tmp_path, 50)
    loop, seen, go = asyncio.get_running_loop(), asyncio.Event(), threading.Event()

    def show(progress: Progress) -> None:
        if progress.done == 10:
            loop.call_soon_threadsafe(seen.set)
            go.wait(10)

    adding = asyncio.ensure_future(knowledge.add("many", folder, progress=show))
    await seen.wait()
    adding.cancel()
    loop.call_later(0.01, go.set)
    with pytest.raises(asyncio.CancelledError):
        await adding
    (status,) = await knowledge.status()
    assert status.documents == 11


def test_who_waits_for_another_writer_can_be_stopped(tmp_path: Path) -> None:
    stopped = threading.Event()
    with writing(tmp_path / "k.db"):
        stopped.set()
        with pytest.raises(StoreBusy, match="another process"), writing(tmp_path / "k.db", stopped):
            raise AssertionError("two write at once")


def many_files(tmp_path: Path, count: int) -> Path:
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(count):
        (folder / f"{number:04}.txt").write_text(f"This is number {number}.")
    grow_old(folder.iterdir())
    return folder


def indexing(tmp_path: Path, folder: Path, *options: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [
            sys.executable,
            "-m",
            "tests.knowledge_child",
            str(tmp_path / "k.db"),
            str(folder),
            *options,
        ],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )


# By meaning


async def test_with_an_embedder_words_and_meaning_find_together(
    tmp_path: Path, folder: Path
) -> None:
    async with Knowledge(tmp_path / "k.db", embed=Scripted().embed) as knowledge:
        await knowledge.add("house", folder)
        (first, *_) = await knowledge.search("rent due", among=["house"])
        (status,) = await knowledge.status()
    assert (first.path, first.found_by) == ("lease.md", ("words", "meaning"))
    assert status.vectors == status.passages


async def test_meaning_finds_what_has_none_of_the_words(tmp_path: Path, folder: Path) -> None:
    async def embed(texts: Sequence[str]) -> list[list[float]]:
        return [[1.0, 0.0] if "cat" in text or "animals" in text else [0.0, 1.0] for text in texts]

    async with Knowledge(tmp_path / "k.db", embed=embed) as knowledge:
        await knowledge.add("house", folder)
        (hit, *_) = await knowledge.search("animals", among=["house"], limit=1)
    assert (hit.heading, hit.found_by) == ("Lease > Pets", ("meaning",))


async def test_an_embedder_that_fails_leaves_words_and_goes_on_later(
    tmp_path: Path, folder: Path
) -> None:
    async def fail(texts: Sequence[str]) -> list[list[float]]:
        raise UsageError("no embedder today")

    async with Knowledge(tmp_path / "k.db", embed=fail) as knowledge:
        with pytest.raises(UsageError, match="today"):
            await knowledge.add("house", folder)
    async with Knowledge(tmp_path / "k.db") as knowledge:
        assert await knowledge.search("rent", among=["house"])
    async with Knowledge(tmp_path / "k.db", embed=Scripted().embed) as knowledge:
        await knowledge.update("house")
        (status,) = await knowledge.status()
    assert status.vectors == status.passages


async def test_vectors_of_another_length_are_refused(tmp_path: Path, folder: Path) -> None:
    async def short(texts: Sequence[str]) -> list[list[float]]:
        return [[1.0] for _ in texts]

    async with Knowledge(tmp_path / "k.db", embed=Scripted().embed) as knowledge:
        await knowledge.add("house", folder)
    async with Knowledge(tmp_path / "k.db", embed=short) as knowledge:
        with pytest.raises(UsageError, match="has 1 numbers"):
            await knowledge.search("rent", among=["house"])


# The file and the command


async def test_a_file_that_is_no_index_is_refused(tmp_path: Path) -> None:
    (tmp_path / "k.db").write_bytes(b"this is no database, and never was one" * 100)
    with pytest.raises(StoreError, match="delete it and add again"):
        async with Knowledge(tmp_path / "k.db"):
            pass


async def test_an_index_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "k.db") as file:
        file.execute("PRAGMA user_version = 99")
    file.close()
    with pytest.raises(StoreError, match="newer version"):
        async with Knowledge(tmp_path / "k.db"):
            pass


async def test_an_index_that_is_not_open_says_so(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="async with"):
        await Knowledge(tmp_path / "k.db").status()


def test_the_command_adds_finds_lists_and_forgets(
    tmp_path: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "link.md").symlink_to(tmp_path)
    index = ["--index", str(tmp_path / "k.db")]
    assert main(["kb", "add", "house", str(folder), *index]) == 0
    assert main(["kb", "search", "house", "rent", "due", *index]) == 0
    assert main(["kb", "search", "house", "zebra", *index]) == 0
    assert main(["kb", "status", *index]) == 0
    assert main(["kb", "remove", "house", *index]) == 0
    said = capsys.readouterr().out
    for words in ("2 new", "lease.md:5", "Nothing was found", "left out", "is forgotten"):
        assert words in said
    assert main(["kb", "remove", "house", *index]) == 2
