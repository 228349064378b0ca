"""What an origin may put on the wire, and what of it a client gets."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.edge.world import HOST, World

PROPERTY = 'id = "plain"\nhosts = ["127.0.0.1"]\npass_through = true\n'
HEAD = b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\n"


class WireOrigin:
    """Sends ``answers`` in turn, the last one again and again, for each request on a connection."""

    def __init__(self) -> None:
        self.answers: list[bytes] = []
        self.requests: list[bytes] = []
        self.connections = 0

    async def start(self) -> str:
        self._server = await asyncio.start_server(self._serve, HOST, 0)
        return f"http://{HOST}:{self._server.sockets[0].getsockname()[1]}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                self.requests.append(await reader.readuntil(b"\r\n\r\n"))
                answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
                writer.write(answer)
                await writer.drain()
                if b"close" in answer:
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def stop(self) -> None:
        self._server.close()


@pytest.fixture
async def wire(still_world: World, tmp_path: Path) -> AsyncIterator[tuple[World, WireOrigin]]:
    origin = WireOrigin()
    folder = tmp_path / "plain"
    folder.mkdir()
    (folder / "plain.toml").write_text(PROPERTY)
    await still_world.start_edge(properties_dir=folder, origin_url=await origin.start())
    yield still_world, origin
    await still_world.stop_edge()
    origin.stop()


async def test_odd_statuses_and_repeated_fields_stay_as_they_are(
    wire: tuple[World, WireOrigin],
) -> None:
    world, origin = wire
    odd = b"HTTP/1.1 799 Odd\r\nCache-Control: max-age=60\r\nX-Many: a=1\r\nX-Many: b=2\r\n"
    origin.answers = [odd + b"Content-Length: 3\r\n\r\nodd"]
    for _ in range(2):
        answer = await world.get("/a")
        assert (answer.status_code, answer.content) == (799, b"odd")
        assert answer.headers.get_list("x-many") == ["a=1", "b=2"]
    assert len(origin.requests) == 1


async def test_news_before_the_answer_are_not_the_answer(wire: tuple[World, WireOrigin]) -> None:
    world, origin = wire
    early = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n"
    origin.answers = [early + HEAD + b"Content-Length: 2\r\n\r\nok"]
    for _ in range(2):
        answer = await world.get("/a")
        assert (answer.status_code, answer.content) == (200, b"ok") and "link" not in answer.headers


async def test_trailers_are_dropped_and_chunks_made_whole(wire: tuple[World, WireOrigin]) -> None:
    world, origin = wire
    chunks = b"Transfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n"
    origin.answers = [HEAD + chunks]
    for _ in range(2):
        answer = await world.get("/a")
        assert answer.content == b"ok" and answer.headers["content-length"] == "2"
        assert not {"trailer", "x-sum", "transfer-encoding"} & set(answer.headers)


@pytest.mark.parametrize(
    "broken",
    [
        HEAD + b"Content-Length: 9\r\nConnection: close\r\n\r\ncut",
        HEAD + b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n5\r\ncut",
        HEAD + b"Transfer-Encoding: odd\r\nConnection: close\r\n\r\nodd",
        HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\nConnection: close\r\n\r\nxx",
        b"HTTP/1.1 200 OK\r\nBad Name: x\r\nConnection: close\r\n\r\n",
        b"not HTTP at all\r\n\r\nclose",
        b"close",
    ],
)
async def test_what_is_broken_is_neither_kept_nor_passed_on(
    wire: tuple[World, WireOrigin], broken: bytes
) -> None:
    world, origin = wire
    origin.answers = [broken]
    assert (await world.get("/a")).status_code == 504
    origin.answers = [HEAD + b"Content-Length: 2\r\n\r\nok"]
    assert (await world.get("/a")).content == b"ok"


async def test_an_answer_without_a_length_ends_with_its_connection(
    wire: tuple[World, WireOrigin],
) -> None:
    world, origin = wire
    origin.answers = [HEAD + b"Connection: close\r\n\r\nuntil the end"]
    assert (await world.get("/a")).content == b"until the end"
    assert "; hit;" in (await world.get("/a")).headers["cache-status"]


async def test_what_is_sent_past_the_announced_length_is_nobody_s_answer(
    wire: tuple[World, WireOrigin],
) -> None:
    world, origin = wire
    hidden = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhidden"
    origin.answers = [
        HEAD + b"Content-Length: 2\r\n\r\nok" + hidden,
        HEAD + b"Content-Length: 5\r\n\r\nright",
    ]
    assert (await world.get("/a")).content == b"ok"
    assert (await world.get("/b")).content == b"right"
    assert len(origin.requests) == 2
