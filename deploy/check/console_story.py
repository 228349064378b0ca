"""What an operator does, over HTTP: from a CSV to what shoppers see, and back."""

import asyncio
import csv
import io
import re
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx2

from deploy.check.world import World, expect
from deploy.parts import PROPERTY

SEED = 4_242
_PATIENCE_S = 60.0
_LOOK_S = 0.1
_SECRET = re.compile(r'name="csrf" value="([^"]+)"')
_UPLOAD = re.compile(r'name="upload" value="([0-9a-f]+)"')


@dataclass(frozen=True)
class Operator:
    """Somebody who logged in: sends forms as the pages do, and speaks to the API."""

    http: httpx2.AsyncClient
    csrf: str

    async def form(
        self, path: str, fields: dict[str, str], file: bytes | None = None
    ) -> httpx2.Response:
        files = {"file": ("shoes.csv", file, "text/csv")} if file is not None else None
        return await self.http.post(path, data={"csrf": self.csrf, **fields}, files=files)

    async def api(self, method: str, path: str, body: object = None) -> Any:
        """What a call answers; :class:`deploy.check.world.Difference` unless it is done."""
        headers = {"x-csrf-token": self.csrf}
        answer = await self.http.request(method, f"/api/v1{path}", json=body, headers=headers)
        expect(answer.is_success, f"{path}: {answer.status_code} {answer.text[:120]}")
        return answer.json()


@asynccontextmanager
async def operator(url: str, password: str) -> AsyncIterator[Operator]:
    """The first admin, with the one-time password of the first start, which is changed at once."""
    async with httpx2.AsyncClient(base_url=url, timeout=60) as http:
        own = secrets.token_urlsafe(16)
        await http.post("/login", data={"name": "admin", "password": password})
        first = await http.get("/")
        expect(first.headers.get("location") == "/password", f"{first.status_code}, not to change")
        csrf = await _secret(http, "/password")
        await http.post("/password", data={"csrf": csrf, "old": password, "new": own, "again": own})
        yield Operator(http, await _secret(http, "/"))


async def from_csv_to_shoppers_and_back(world: World) -> str:
    path = world.fresh()
    live = (await world.record(path)).body.recipe
    expect(live.seed != SEED, "the sample's seed is the story's")
    password = world.system.password
    expect(password is not None, "no one-time password: the console had its first start before")
    async with operator(world.system.console_url, password or "") as who:
        set_id = await _take_in(who, [(path, live.prompt, SEED), (path, "purple sole", 1)])
        await _generate(who, set_id)
        found = await who.api("GET", f"/properties/{PROPERTY}/candidates?set_id={set_id}")
        (one,) = found["candidates"]
        await who.api("POST", f"/candidates/{one['id']}/decision", {"verdict": "approved"})
        done = await who.api("POST", f"/properties/{PROPERTY}/publish", {"set_id": set_id})
        told = await who.api("GET", f"/properties/{PROPERTY}/changes/{done['seq']}")
        expect(bool(told["regions"]), "the console knows of no region")
        await _until(lambda: _seed_is(world, path), "the record did not come")
        seen = world.expect_rehydrated(path, await world.get(path))
        reason = {"path": path, "reason": "the check's own"}
        await who.api("POST", f"/properties/{PROPERTY}/revoke", reason)
        await _until(lambda: _is_original(world, path), "not revoked")
    return f"{seen}; revoked: {world.expect_original(path, await world.get(path), 'revoked')}"


async def _take_in(who: Operator, rows: list[tuple[str, str, int]]) -> int:
    """Upload rows of asset, prompt and seed, the last of which is wrong; the set's number."""
    text = io.StringIO()
    csv.writer(text).writerows([("asset", "prompt", "seed"), *rows])
    told = {"family": PROPERTY, "name": "check"}
    shown = await who.form(f"/p/{PROPERTY}/preview", told, text.getvalue().encode())
    upload = _UPLOAD.search(shown.text)
    expect("purple" in shown.text and upload is not None, f"{shown.status_code}, no preview")
    rejected = await who.http.get(
        f"/p/{PROPERTY}/rejected/{upload and upload[1]}", params={"family": PROPERTY}
    )
    expect("purple sole" in rejected.text, "the wrong row did not come back")
    told["upload"] = upload[1] if upload else ""
    taken = await who.form(f"/p/{PROPERTY}/import", told)
    where = taken.headers.get("location", "")
    expect(where.startswith("/sets/"), f"{taken.status_code}, nothing taken in")
    return int(where.removeprefix("/sets/").partition("?")[0])


async def _generate(who: Operator, set_id: int) -> None:
    asked = {"seeds": 1, "least_score": 80}
    job = await who.api("POST", f"/sets/{set_id}/jobs", asked)

    async def done() -> bool:
        state: str = (await who.api("GET", f"/jobs/{job['id']}"))["state"]
        expect(state not in ("failed", "cancelled"), f"the job {state}")
        return state == "done"

    await _until(done, "no candidate was made")


async def _until(holds: Callable[[], Awaitable[bool]], otherwise: str) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while not await holds():
        expect(time.monotonic() < deadline, f"{otherwise} within {_PATIENCE_S:.0f} s")
        await asyncio.sleep(_LOOK_S)


async def _seed_is(world: World, path: str) -> bool:
    return (await world.record(path)).body.recipe.seed == SEED


async def _is_original(world: World, path: str) -> bool:
    return (await world.get(path)).content == world.original(path)


async def _secret(http: httpx2.AsyncClient, path: str) -> str:
    found = _SECRET.search((await http.get(path)).text)
    expect(found is not None, f"{path}: not logged in")
    return found[1] if found else ""
