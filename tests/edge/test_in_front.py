"""nginx and Varnish, set up as in ``deploy/front``, before a running edge: they keep what it keeps,
for as long, and drop what it drops."""

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Callable
from email.utils import parsedate_to_datetime
from pathlib import Path

import httpx2
import pytest

from deploy.fronts import nginx, varnish
from deploy.layout import free_ports
from deploy.processes import Running
from kvsync.errors import InputError
from tests.edge.world import AVIF, HOST, JPEG, WEBP, World, read_site

# Servers to start and seconds to wait for.
pytestmark = pytest.mark.slow

CHROME = "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8"
FIREFOX = "image/avif,image/webp,image/png,image/svg+xml,image/*;q=0.8,*/*;q=0.5"


def says(cache_control: str, **fields: object) -> dict[str, str]:
    """An origin's fields, without the property's word to caches alone."""
    named = {name: str(value) for name, value in fields.items()}
    return {"cache-control": cache_control, "cdn-cache-control": "", **named}


class Fronted:
    """A world whose shoppers ask a cache before the edge."""

    def __init__(self, kind: str, world: World, folder: Path, port: int) -> None:
        self.kind, self.world, self.folder, self.port = kind, world, folder, port
        self.client = httpx2.AsyncClient(base_url=f"http://{HOST}:{port}", timeout=15)

    async def get(self, path: str, accept: str = JPEG, **fields: str) -> httpx2.Response:
        named = {name.replace("_", "-"): value for name, value in fields.items()}
        return await self.client.get(path, headers={"accept": accept, **named})

    async def is_hit(self, path: str, accept: str = JPEG, **fields: str) -> bool:
        """Whether the front answered by itself."""
        status = (await self.get(path, accept, **fields)).headers["cache-status"]
        return status.endswith(f", {self.kind}; hit")

    async def purge(self, **wanted: object) -> httpx2.Response:
        return await self.world.admin.post("/v1/purge", json=wanted)


@pytest.fixture(params=["nginx", "varnish"])
async def front(
    request: pytest.FixtureRequest, still_world: World, tmp_path: Path
) -> AsyncIterator[Fronted]:
    kind, world = request.param, still_world
    program = {"nginx": "nginx", "varnish": "varnishd"}[kind]
    if shutil.which(program, path="/usr/sbin:/usr/bin:/sbin:/bin") is None:
        pytest.skip(f"{program} is not installed: apt-get install nginx-light varnish")
    port = free_ports(1)[0]
    folder = tmp_path / kind
    if kind == "nginx":
        (folder / "cache").mkdir(parents=True)
        await world.start_edge(nginx_cache_dir=folder / "cache")
        part = nginx(folder, port, world.port)
    else:
        await world.start_edge(varnish_urls=(f"http://{HOST}:{port}",))
        part = varnish(folder, port, world.port, 32 << 20)
    running = Running(part, tmp_path / "front.log")
    running.start()
    await running.wait_ready()
    front = Fronted(kind, world, folder, port)
    yield front
    await front.client.aclose()
    running.stop()


async def test_an_image_is_fetched_once_and_then_served_by_the_front(front: Fronted) -> None:
    await front.world.publish("/a.jpg")
    first = await front.get("/a.jpg")
    assert first.content == b"generated jpeg/768/92"
    assert "fwd=uri-miss; stored" in first.headers["cache-status"]
    assert await front.is_hit("/a.jpg")
    again = await front.get("/a.jpg")
    assert again.content == first.content and again.headers["etag"] == first.headers["etag"]
    assert not {"x-edge-tags", "x-edge-grace", "x-accel-expires"} & set(again.headers)
    assert front.world.region.generated == ["jpeg/768/92"]


async def test_each_client_gets_a_form_that_it_can_show(front: Fronted) -> None:
    await front.world.publish("/a.jpg")
    forms = {AVIF: "avif", WEBP: "webp", JPEG: "jpeg", "*/*": "jpeg", CHROME: "avif"}
    for accept, form in [*forms.items(), *forms.items()]:
        answer = await front.get("/a.jpg", accept)
        assert answer.headers["content-type"] == f"image/{form}", accept
        assert "accept" in answer.headers["vary"].lower()
    refusing = "image/avif;q=0,image/webp;q=0,image/jpeg"
    assert (await front.get("/a.jpg", refusing)).headers["content-type"] == "image/jpeg"


async def test_browsers_that_show_the_same_share_an_entry(front: Fronted) -> None:
    await front.world.publish("/a.jpg")
    await front.get("/a.jpg", CHROME)
    assert await front.is_hit("/a.jpg", FIREFOX)


@pytest.mark.parametrize("how", ["tag", "url", "property", "everything"])
async def test_a_revoked_image_is_not_served_once_it_is_purged(front: Fronted, how: str) -> None:
    world = front.world
    for path in ("/a.jpg", "/b.jpg"):
        await world.publish(path)
        for accept in (AVIF, WEBP, JPEG):
            await front.get(path, accept)
    await world.revoke("/a.jpg")
    wanted: dict[str, dict[str, object]] = {
        "tag": {"tags": [world.key("/a.jpg").hex()]},
        "url": {"urls": ["http://localhost/a.jpg?w=768"]},
        "property": {"tags": ["rumba"]},
        "everything": {"everything": True},
    }
    answer = await front.purge(**wanted[how])
    assert answer.status_code == 200, answer.text
    for accept in (AVIF, WEBP, JPEG):
        assert (await front.get("/a.jpg", accept)).content == b"original of /a.jpg"
    others_stay = how in ("tag", "url")
    assert await front.is_hit("/b.jpg") == others_stay


async def test_an_answer_that_a_purge_overtook_is_not_kept_in_front(front: Fronted) -> None:
    world = front.world
    await world.publish("/a.jpg")
    world.region.takes_s = 0.2
    asked = asyncio.create_task(front.get("/a.jpg"))
    while not world.region.generated:
        await asyncio.sleep(0.01)
        if asked.done():
            break
    await world.revoke("/a.jpg")
    await front.purge(tags=[world.key("/a.jpg").hex()])
    await asked
    assert (await front.get("/a.jpg")).content == b"original of /a.jpg"


async def test_a_fall_back_is_kept_no_longer_than_the_edge_keeps_it(front: Fronted) -> None:
    world = front.world
    world.origin.bodies["/o.jpg"] = b"as it is"
    world.origin.headers = says("max-age=60")
    await front.get("/o.jpg")
    assert await front.is_hit("/o.jpg")
    world.origin.headers = says("no-store")
    world.origin.bodies["/p.jpg"] = b"not for caches"
    await front.get("/p.jpg")
    assert not await front.is_hit("/p.jpg")


async def test_an_age_that_an_answer_already_has_is_deducted(front: Fronted) -> None:
    """nginx alone would keep it for its whole max-age again."""
    world = front.world
    world.origin.bodies["/o.jpg"] = b"old"
    world.origin.headers = says("max-age=60", age=58)
    await front.get("/o.jpg")
    await asyncio.sleep(2.5)
    asked = len(world.origin.requests)
    await front.get("/o.jpg")
    assert len(world.origin.requests) == asked + 1


async def test_what_may_be_served_stale_is_kept_while_it_is_fresh(front: Fronted) -> None:
    world = front.world
    world.origin.bodies["/o.jpg"] = b"as it is"
    world.origin.headers = says("max-age=60, stale-while-revalidate=60, stale-if-error=60")
    await front.get("/o.jpg")
    assert await front.is_hit("/o.jpg")


async def test_whoever_is_behind_the_front_can_tell_the_age(front: Fronted) -> None:
    await front.world.publish("/a.jpg")
    await front.get("/a.jpg")
    await asyncio.sleep(2.1)
    hit = await front.get("/a.jpg")
    assert hit.headers["cache-status"].endswith(f", {front.kind}; hit")
    since = time.time() - parsedate_to_datetime(hit.headers["date"]).timestamp()
    assert max(since, float(hit.headers["age"])) >= 2


@pytest.mark.parametrize(
    ("said", "stale"),
    [
        ("max-age=4, stale-while-revalidate=60", True),
        ("max-age=4", False),
        ("max-age=4, must-revalidate, stale-while-revalidate=60", False),
    ],
)
async def test_stale_is_served_only_where_the_answer_allows_it(
    front: Fronted, said: str, stale: bool
) -> None:
    world = front.world
    world.origin.bodies["/o.jpg"] = b"first"
    world.origin.headers = says(said)
    await front.get("/o.jpg")
    await front.get("/o.jpg")
    world.origin.bodies["/o.jpg"] = b"second"
    await asyncio.sleep(5.1)
    assert ((await front.get("/o.jpg")).content == b"first") == stale
    # What is stale is fetched anew behind the answer; on a busy machine that takes its time.
    async with asyncio.timeout(30):
        while (await front.get("/o.jpg")).content != b"second":
            await asyncio.sleep(0.05)


async def test_what_must_be_validated_each_time_is_never_served_stale(front: Fronted) -> None:
    world = front.world
    for body in (b"first", b"second"):
        world.origin.bodies["/o.jpg"] = body
        tag = f'"{body.decode()}"'
        world.origin.headers = says("no-cache, stale-while-revalidate=60", etag=tag)
        assert (await front.get("/o.jpg")).content == body


async def test_a_field_for_one_client_is_not_kept_for_others(front: Fronted) -> None:
    world = front.world
    world.origin.bodies["/o.jpg"] = b"as it is"
    world.origin.headers = says('max-age=60, private="x-own"', **{"x-own": "1"})
    assert (await front.get("/o.jpg")).headers["x-own"] == "1"
    for _ in range(2):
        assert "x-own" not in (await front.get("/o.jpg")).headers
    assert await front.is_hit("/o.jpg")


async def test_what_a_signed_in_client_gets_is_kept_for_nobody(front: Fronted) -> None:
    world = front.world
    world.origin.bodies["/o.jpg"] = b"for one"
    world.origin.headers = says("max-age=60")
    await front.get("/o.jpg", cookie="session=1")
    world.origin.bodies["/o.jpg"] = b"for all"
    assert (await front.get("/o.jpg")).content == b"for all"


async def test_many_at_once_ask_the_region_once(front: Fronted) -> None:
    await front.world.publish("/a.jpg")
    front.world.region.takes_s = 0.2
    answers = await asyncio.gather(*(front.get("/a.jpg") for _ in range(20)))
    assert {answer.content for answer in answers} == {b"generated jpeg/768/92"}
    assert front.world.region.generated == ["jpeg/768/92"]


async def test_nobody_overtakes_a_fetch_that_takes_long(front: Fronted) -> None:
    """nginx by itself lets those who wait through after five seconds."""
    world = front.world
    loaded = await world.count("edge_properties_loaded")
    read_site(world.settings["properties_dir"], origin_deadline_ms=20_000)
    while await world.count("edge_properties_loaded") == loaded:
        await asyncio.sleep(0.1)
    world.origin.bodies["/o.jpg"] = b"late"
    world.origin.headers = says("max-age=60")
    world.origin.hung = True
    asking = [asyncio.create_task(front.get("/o.jpg")) for _ in range(3)]
    await asyncio.sleep(7)
    world.origin.hung = False
    assert {(await answer).content for answer in asking} == {b"late"}
    assert len(world.origin.requests) == 1


async def test_a_front_that_cannot_be_told_is_an_error_of_the_purge(front: Fronted) -> None:
    world, port = front.world, free_ports(1)[0]
    await world.stop_edge()
    changed: dict[str, object] = {"varnish_urls": (f"http://{HOST}:{port}",)}
    if front.kind == "nginx":
        changed = {"nginx_cache_dir": front.folder / "elsewhere"}
    await world.start_edge(**changed)
    answer = await front.purge(everything=True)
    assert answer.status_code == 503 and answer.json()["error"] == "front"


@pytest.mark.parametrize("make", [nginx, varnish])
def test_a_program_that_is_not_there_is_named(
    make: Callable[..., object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)
    with pytest.raises(InputError, match="is not installed: apt-get install"):
        make(tmp_path, 1, 2)
