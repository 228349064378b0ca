"""What follows a request on its connection must not spoil the answer to it."""

import asyncio

from tests.edge.world import HOST, World


async def test_garbage_behind_a_request_ends_the_connection_after_its_answer(world: World) -> None:
    world.origin.bodies["/a.jpg"] = b"original"
    world.origin.hung = True
    reader, writer = await asyncio.open_connection(HOST, world.port)
    writer.write(b"GET /a.jpg HTTP/1.1\r\nHost: localhost\r\n\r\n")
    while not world.origin.requests:
        await asyncio.sleep(0.01)
    writer.write(b"\x00\x01 garbage\r\n\r\n")
    await asyncio.sleep(0.05)
    world.origin.hung = False
    answer = await asyncio.wait_for(reader.read(), 60)
    writer.close()
    assert answer.startswith(b"HTTP/1.1 200 ") and answer.endswith(b"original")


async def test_requests_sent_together_are_answered_in_order(world: World) -> None:
    for name in ("a", "b"):
        world.origin.bodies[f"/{name}.jpg"] = f"original {name}".encode()
    reader, writer = await asyncio.open_connection(HOST, world.port)
    asked = (b"GET /%b.jpg HTTP/1.1\r\nHost: localhost\r\n\r\n" % name for name in (b"a", b"b"))
    writer.write(b"".join(asked) + b"GET /a.jpg HTTP/1.1\r\nHost: localhost\r\n")
    writer.write(b"Connection: close\r\n\r\n")
    answers = await asyncio.wait_for(reader.read(), 60)
    writer.close()
    first, second, third = answers.split(b"HTTP/1.1 200 ")[1:]
    assert first.endswith(b"original a") and second.endswith(b"original b")
    assert third.endswith(b"original a")


async def test_content_that_an_upgrade_swallows_is_the_client_s_error(still_world: World) -> None:
    world = still_world
    folder = world.settings["properties_dir"]
    (folder / "through.toml").write_text(
        'id = "through"\nhosts = ["through.example"]\npass_through = true\n'
    )
    await world.start_edge()
    reader, writer = await asyncio.open_connection(HOST, world.port)
    writer.write(b"PUT /a HTTP/1.1\r\nHost: through.example\r\nConnection: upgrade\r\n")
    writer.write(b"Upgrade: TLS/1.0\r\nContent-Length: 5\r\n\r\nhello")
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 60)
    writer.close()
    assert head.startswith(b"HTTP/1.1 400 ")
