"""Files over the file server, small and large, and servers that cheat."""

import hashlib
import tracemalloc
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from sessionbot_kit.channels.session_messenger.content import AttachmentPointer
from sessionbot_kit.channels.session_messenger.files import IN_MEMORY_BYTES, FileClient
from sessionbot_kit.channels.session_messenger.loopback import LoopbackNetwork
from sessionbot_kit.channels.session_messenger.loopback.faults import HangsUp, Refuses
from sessionbot_kit.channels.session_messenger.loopback.file_server import File
from sessionbot_kit.errors import ChannelError, MessageError, RecordError
from sessionbot_kit.models import Media

PHOTO = Media.from_bytes(b"not really a photo", name="cat.jpg", caption="My cat")


@pytest.fixture
async def network() -> AsyncIterator[LoopbackNetwork]:
    async with LoopbackNetwork(nodes=1, swarms=1) as network:
        yield network


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "media"


@pytest.fixture
async def files(network: LoopbackNetwork, folder: Path) -> AsyncIterator[FileClient]:
    async with FileClient(folder, url=network.file_server_url, pause_s=0.0) as files:
        yield files


def only_file(network: LoopbackNetwork) -> tuple[str, File]:
    ((id, file),) = network.files.files.items()
    return id, file


def in_folder(folder: Path) -> list[Path]:
    return list(folder.iterdir())


def mode_of(path: Path) -> int:
    return path.stat().st_mode & 0o777


def file_of(path: Path, size: int) -> Path:
    path.write_bytes(bytes(size))
    return path


@pytest.mark.parametrize("size", [0, 1, 541, 542, 100_000, IN_MEMORY_BYTES])
async def test_a_small_file_comes_back_in_memory(
    files: FileClient, folder: Path, size: int
) -> None:
    pointer = await files.upload(Media.from_bytes(bytes(size), name="cat.jpg"))
    media = await files.download(pointer)
    assert (media.data, media.path) == (bytes(size), None)
    assert not in_folder(folder)


async def test_a_file_keeps_its_name_its_kind_and_its_caption(files: FileClient) -> None:
    media = await files.download(await files.upload(PHOTO))
    assert (media.name, media.mime, media.kind) == ("cat.jpg", "image/jpeg", "image")
    assert (media.caption, media.size) == ("My cat", len(PHOTO.read()))
    assert media.sha256 == hashlib.sha256(PHOTO.read()).hexdigest()


async def test_a_large_file_is_streamed_to_disk_and_named_by_its_content(
    files: FileClient, folder: Path
) -> None:
    data = bytes(range(256)) * 5_000
    media = await files.download(await files.upload(Media.from_bytes(data, name="song.ogg")))
    assert media.data is None
    assert media.path == folder / hashlib.sha256(data).hexdigest()
    assert media.path.read_bytes() == data
    assert mode_of(media.path) == 0o600
    assert in_folder(folder) == [media.path]


async def test_a_large_file_is_never_whole_in_memory(files: FileClient, tmp_path: Path) -> None:
    big = file_of(tmp_path / "big.bin", 4_000_000)
    pointer = await files.upload(Media(path=big, name="big.bin"))
    tracemalloc.start()
    await files.download(pointer)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # The loopback server is in this process, and holds what it sends once as a whole.
    assert peak < 4_000_000 * 1.05 + 2 * IN_MEMORY_BYTES


async def test_downloads_that_nobody_took_over_are_deleted_one_day(
    files: FileClient, folder: Path
) -> None:
    media = await files.download(await files.upload(Media(data=bytes(1_200_000), name="x")))
    files.prune(older_than_s=3_600)
    assert in_folder(folder) == [media.path]
    files.prune(older_than_s=-1)
    assert not in_folder(folder)


async def test_the_server_sees_nothing_of_a_file(
    files: FileClient, network: LoopbackNetwork
) -> None:
    await files.upload(Media.from_bytes(b"secret" * 100, name="secret.txt"))
    assert b"secret" not in only_file(network)[1].data


async def test_two_uploads_of_one_file_look_different(
    files: FileClient, network: LoopbackNetwork
) -> None:
    await files.upload(PHOTO)
    await files.upload(PHOTO)
    assert len({file.data for file in network.files.files.values()}) == 2


@pytest.mark.parametrize("change", ["cut", "flip", "grow", "other"])
async def test_a_file_that_the_server_changed_is_not_opened(
    files: FileClient, network: LoopbackNetwork, folder: Path, change: str
) -> None:
    pointer = await files.upload(Media.from_bytes(bytes(2_000_000), name="x"))
    id, file = only_file(network)
    changed = {
        "cut": file.data[:-1],
        "flip": bytes((file.data[0] ^ 1,)) + file.data[1:],
        "grow": file.data + b"x",
        "other": b"x" * 100,
    }[change]
    network.files.files[id] = replace(file, data=changed)
    with pytest.raises(RecordError, match="its digest differs"):
        await files.download(pointer)
    assert not in_folder(folder)


async def test_a_download_that_never_ends_is_cut(
    files: FileClient, network: LoopbackNetwork, folder: Path
) -> None:
    pointer = await files.upload(PHOTO)
    id, file = only_file(network)
    network.files.files[id] = replace(file, data=bytes(11_000_001))
    with pytest.raises(RecordError, match="more than 11,000,000"):
        await files.download(pointer)


async def test_a_file_that_is_gone_is_said_to_be_gone(
    files: FileClient, network: LoopbackNetwork
) -> None:
    pointer = await files.upload(PHOTO)
    network.files.files.clear()
    with pytest.raises(RecordError, match="ask for it again"):
        await files.download(pointer)


async def test_a_server_that_stumbles_is_asked_again(
    files: FileClient, network: LoopbackNetwork
) -> None:
    network.files.faults = [Refuses(500), HangsUp()]
    pointer = await files.upload(PHOTO)
    network.files.faults = [Refuses(503), HangsUp(after=300)]
    assert (await files.download(pointer)).data == PHOTO.data


async def test_a_server_that_is_down_is_not_asked_for_ever(
    files: FileClient, network: LoopbackNetwork
) -> None:
    network.files.faults = [Refuses(500)] * 10
    with pytest.raises(ChannelError, match="Try again later"):
        await files.upload(PHOTO)
    assert network.files.requests == 3


@pytest.mark.parametrize(
    "answer", ["{}", '{"id": null}', '{"id": "../../x"}', "<html>", '{"id": true}']
)
async def test_an_upload_without_a_number_is_no_upload(
    files: FileClient, network: LoopbackNetwork, answer: str
) -> None:
    network.files.faults = [Refuses(200, answer)] * 3
    with pytest.raises(ChannelError, match="names no file"):
        await files.upload(PHOTO)


async def test_an_upload_may_have_a_name_instead_of_a_number(
    files: FileClient, network: LoopbackNetwork
) -> None:
    network.files.faults = [Refuses(200, '{"id": "AbC_-9"}')]
    pointer = await files.upload(PHOTO)
    assert (pointer.id, pointer.url) == (0, f"{network.file_server_url}/file/AbC_-9")


async def test_a_file_that_the_server_finds_too_large_will_never_be_taken(
    files: FileClient, network: LoopbackNetwork
) -> None:
    network.files.max_file_bytes = 500
    with pytest.raises(MessageError, match=r"make cat.jpg smaller"):
        await files.upload(PHOTO)
    assert network.files.requests == 1


async def test_a_file_beyond_the_limit_is_not_even_uploaded(
    files: FileClient, network: LoopbackNetwork
) -> None:
    with pytest.raises(MessageError, match="10,000,000 can be sent"):
        await files.upload(Media(data=bytes(10_000_001), name="x"))
    assert network.files.requests == 0


async def test_a_file_whose_bytes_are_elsewhere_is_refused(
    files: FileClient, tmp_path: Path
) -> None:
    with pytest.raises(MessageError, match="fetch them first"):
        await files.upload(Media(url="https://example.org/cat.jpg"))
    with pytest.raises(MessageError, match="is it still there"):
        await files.upload(Media(path=tmp_path / "gone"))


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/file/1",
        "http://evil.example/file/1",
        "file:///etc/passwd",
        "http://filev2.getsession.org/file/../admin",
        "http://filev2.getsession.org/file/1/info",
        "http://[half/file/1",
        "nonsense",
    ],
)
async def test_an_address_from_a_stranger_is_never_followed(
    files: FileClient, network: LoopbackNetwork, url: str
) -> None:
    pointer = AttachmentPointer(id=1, key=bytes(64), digest=bytes(32), size=1, url=url)
    with pytest.raises(RecordError, match=r"fetched from .* only"):
        await files.download(pointer)
    assert network.files.requests == 0


async def test_a_file_on_the_official_server_is_fetched_from_the_configured_one(
    files: FileClient,
) -> None:
    pointer = await files.upload(PHOTO)
    official = replace(pointer, url=f"http://filev2.getsession.org/file/{pointer.id}")
    assert (await files.download(official)).data == PHOTO.data
    assert (await files.download(replace(pointer, url=None))).data == PHOTO.data


@pytest.mark.parametrize(
    "wrong",
    [{"size": None}, {"size": 10_000_001}, {"key": None}, {"key": bytes(32)}, {"digest": b""}],
)
async def test_a_file_that_could_not_be_checked_is_not_fetched(
    files: FileClient, network: LoopbackNetwork, wrong: dict[str, object]
) -> None:
    fields = {"id": 1, "key": bytes(64), "digest": bytes(32), "size": 1, **wrong}
    with pytest.raises(RecordError):
        await files.download(AttachmentPointer(**fields))  # type: ignore[arg-type]  # a table
    assert network.files.requests == 0


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\temp\\a.txt", "a.txt"),
        ("a\x00\n.txt", "a.txt"),
        (".. ", ""),
        ("x" * 300 + ".txt", "x" * 196 + ".txt"),
        (None, ""),
    ],
)
async def test_the_name_of_a_file_is_only_a_name(
    files: FileClient, name: str | None, plain: str
) -> None:
    pointer = replace(await files.upload(PHOTO), file_name=name, content_type="nonsense")
    media = await files.download(pointer)
    assert (media.name, media.mime, media.kind) == (plain, "application/octet-stream", "file")
