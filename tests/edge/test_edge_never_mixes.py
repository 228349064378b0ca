"""One URL, two sources: what is rehydrated and what the origin has never mix in a client's hands.

In this world both say the same Last-Modified, as a shopper is not to tell one from the other.
"""

import random

import httpx2

from tests.edge.world import World

CHANGED = "Thu, 09 Oct 2025 08:53:20 GMT"
GENERATED = b"generated jpeg/768/92"


async def test_a_tag_of_one_source_is_no_tag_of_the_other(world: World) -> None:
    await world.publish("/a.jpg")
    rehydrated = await world.get("/a.jpg")
    await world.purge("rumba")
    world.region.kill()
    original = await world.get("/a.jpg")
    assert original.headers["last-modified"] == rehydrated.headers["last-modified"] == CHANGED
    assert original.headers["etag"] != rehydrated.headers["etag"]
    for other in ({"if_none_match": rehydrated.headers["etag"]}, {"if_modified_since": CHANGED}):
        assert (await world.get("/a.jpg", **other)).content == original.content


async def test_a_range_is_continued_only_in_the_same_bytes(world: World) -> None:
    await world.publish("/a.jpg")
    rehydrated = await world.get("/a.jpg", range="bytes=0-3")
    assert (rehydrated.status_code, rehydrated.content) == (206, GENERATED[:4])
    tag = rehydrated.headers["etag"]
    assert (await world.get("/a.jpg", range="bytes=4-", if_range=tag)).content == GENERATED[4:]
    await world.purge("rumba")
    world.region.kill()
    whole = world.origin.bodies["/a.jpg"]
    for if_range in (tag, CHANGED):
        answer = await world.get("/a.jpg", range="bytes=4-", if_range=if_range)
        assert (answer.status_code, answer.content) == (200, whole)


async def test_the_origin_is_never_asked_whether_a_generated_image_is_right(world: World) -> None:
    await world.publish("/a.jpg")
    await world.get("/a.jpg")
    world.region.refusal = (503, "busy")
    world.later_s = world.site.freshness_s + 60
    assert (await world.get("/a.jpg")).content == world.origin.bodies["/a.jpg"]
    sent = world.origin.requests[-1].headers
    assert not {"if-none-match", "if-modified-since", "range"} & set(sent)


async def test_the_origin_s_own_image_is_validated_by_the_origin_s_own_word(world: World) -> None:
    world.origin.bodies["/a.jpg"] = b"original"
    first = await world.get("/a.jpg")
    world.later_s = 86_400 + 60
    await world.get("/a.jpg", if_none_match=first.headers["etag"])
    sent = world.origin.requests[-1].headers
    assert sent["if-modified-since"] == CHANGED, "its tag is the edge's own"
    assert "if-none-match" not in sent


async def test_pieces_always_make_up_one_whole_whatever_happens_between_them(world: World) -> None:
    chance = random.Random(7)
    await world.publish("/a.jpg")
    wholes = {GENERATED}

    def change_original() -> None:
        body = b"original %d " % len(wholes) * chance.randint(2, 4)
        wholes.add(body)
        world.origin.bodies["/a.jpg"] = body

    def toggle_region() -> None:
        world.region.refusal = None if world.region.refusal else (503, "busy")

    def let_time_pass() -> None:
        world.later_s += chance.choice([5, 20, 90_000])

    change_original()
    joined = 0
    for _ in range(60):
        start = await world.get("/a.jpg", range="bytes=0-5")
        for event in chance.sample([change_original, toggle_region, let_time_pass], 2):
            event()
        if chance.random() < 0.3:
            await world.purge("rumba")
        rest = await continued(world, start)
        if rest.status_code == 206:
            joined += 1
            assert start.content + rest.content in wholes
        else:
            assert rest.content in wholes
    assert joined


async def continued(world: World, start: httpx2.Response) -> httpx2.Response:
    tag, changed = start.headers["etag"], start.headers["last-modified"]
    by_date = random.Random(tag).random() < 0.3
    return await world.get("/a.jpg", range="bytes=6-", if_range=changed if by_date else tag)
