"""Publishing and revoking against a real database and a real Valkey server."""

import asyncio
import json
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import msgspec
import pytest
import redis
from sqlalchemy import select
from typer.testing import CliRunner, Result

from kvsync.errors import RevokedRecord
from kvsync.record import Record, Tombstone
from kvsync.signing import Keyring
from kvsync.store import StoredEntry, ValkeyStore
from kvsync.wire import Hold
from origin.approved import Approved, write_approved
from origin.cli import app
from origin.tables import AuditRow
from origin.workplace import Workplace

RED = "/rumba/red-white.jpg"
ApproveAll = Callable[[], list[Approved]]


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def counts(result: Result) -> dict[str, int]:
    assert result.exit_code == 0, result.output
    found: dict[str, int] = json.loads(result.output.splitlines()[-1])
    return found


def stored(place: Workplace, url: str, path: str = RED) -> StoredEntry:
    async def ask() -> StoredEntry:
        store = ValkeyStore(url)
        try:
            return await store.get("rumba", place.site.request(path).key)
        finally:
            await store.close()

    return asyncio.run(ask())


def trusted(place: Workplace, signed: bytes, path: str = RED, buried: int = -1) -> Record:
    keys = Keyring((place.key.trusted_for(["rumba"]),))
    key = place.site.request(path).key
    return Record.from_signed(
        signed, keys, key=key, property="rumba", now=time.time(), buried_seq=buried
    )


def test_what_was_approved_is_signed_and_lies_in_the_store(
    place: Workplace, approve_all: ApproveAll, store_url: str
) -> None:
    approval = next(one for one in approve_all() if one.path == RED)
    assert counts(run("publish", "--json")) == {"published": 4, "refused": 0, "already": 0}
    signed = stored(place, store_url).record
    assert signed is not None and len(signed) <= 512
    body = trusted(place, signed).body
    assert body.recipe == approval.recipe.recipe()
    assert body.original.digest.hex() == approval.original.digest
    assert body.original.validator == place.site.dam.stat("red-white.jpg").etag
    assert body.approval.approved_at == approval.approved_at
    assert body.not_after == approval.approved_at + 365 * 86_400
    assert body.family == "squares"


def test_publishing_again_signs_nothing_anew(place: Workplace, approve_all: ApproveAll) -> None:
    approve_all()
    run("publish")
    assert counts(run("publish", "--json")) == {"published": 0, "refused": 0, "already": 4}


def test_nothing_is_published_that_nobody_approved(place: Workplace) -> None:
    assert counts(run("publish", "--json")) == {"published": 0, "refused": 0, "already": 0}


def test_a_store_that_lost_its_records_gets_them_back(
    place: Workplace, approve_all: ApproveAll, store_url: str
) -> None:
    approve_all()
    run("publish")
    before = stored(place, store_url)
    with redis.Redis.from_url(store_url) as client:
        client.flushall()
    assert counts(run("publish", "--json"))["already"] == 4
    assert stored(place, store_url) == before


def test_a_crash_between_database_and_store_is_repaired(
    place: Workplace, approve_all: ApproveAll, store_url: str, free_port: int
) -> None:
    approve_all()
    failed = run("publish", "--store", f"redis://127.0.0.1:{free_port}")
    assert failed.exit_code == 1 and "NOT confirmed" in failed.output
    assert counts(run("publish", "--json")) == {"published": 0, "refused": 0, "already": 4}
    assert stored(place, store_url).record is not None


def test_a_changed_original_is_refused_with_the_reason(
    place: Workplace, approve_all: ApproveAll, gallery: Path
) -> None:
    approve_all()
    (gallery / "pictures" / "red-white.jpg").write_bytes(b"another picture")
    result = run("publish", "--json")
    assert counts(result) == {"published": 3, "refused": 1, "already": 0}
    assert f"not published: {RED}: its original changed" in result.output


def test_a_record_whose_original_changed_is_withdrawn(
    place: Workplace, approve_all: ApproveAll, gallery: Path, store_url: str
) -> None:
    approve_all()
    run("publish")
    signed = stored(place, store_url).record
    (gallery / "pictures" / "red-white.jpg").write_bytes(b"another picture")
    result = run("publish", "--json")
    assert counts(result) == {"published": 0, "refused": 1, "already": 3}
    assert "its record was withdrawn" in result.output
    entry = stored(place, store_url)
    assert entry.record is None and entry.tombstone is not None and signed is not None
    assert counts(run("publish", "--json"))["refused"] == 0


def test_a_record_whose_original_is_gone_is_withdrawn(
    place: Workplace, approve_all: ApproveAll, gallery: Path, store_url: str
) -> None:
    approve_all()
    run("publish")
    (gallery / "pictures" / "red-white.jpg").unlink()
    assert "its record was withdrawn" in run("publish").output
    assert stored(place, store_url).record is None


def test_an_approval_of_the_new_original_takes_the_old_records_place(
    place: Workplace, approve_all: ApproveAll, gallery: Path, store_url: str
) -> None:
    approve_all()
    run("publish")
    (gallery / "pictures" / "red-white.jpg").write_bytes(b"another picture")
    approve_all()
    assert counts(run("publish", "--json")) == {"published": 1, "refused": 0, "already": 3}
    entry = stored(place, store_url)
    assert entry.record is not None and entry.tombstone is None


def test_a_missing_original_is_refused_with_the_reason(
    place: Workplace, approve_all: ApproveAll, gallery: Path
) -> None:
    approve_all()
    (gallery / "pictures" / "red-white.jpg").unlink()
    result = run("publish", "--json")
    assert counts(result)["refused"] == 1
    assert "not in the asset store" in result.output


def test_an_approval_beyond_its_time_is_refused(
    place: Workplace, approve_all: ApproveAll, monkeypatch: pytest.MonkeyPatch
) -> None:
    approve_all()
    monkeypatch.setenv("ORIGIN_APPROVAL_DAYS", "0")
    result = run("publish", "--json")
    assert counts(result)["refused"] == 4 and "older than 0 days" in result.output


def test_a_new_signing_key_signs_everything_anew(
    place: Workplace, approve_all: ApproveAll, model: Path
) -> None:
    approve_all()
    run("publish")
    place.settings.signing_key.unlink()
    refused = run("publish", "--json")
    assert "name it with --model" in refused.output


class Cache(BaseHTTPRequestHandler):
    """An edge or region as far as publishing goes: what it was told to drop and to hold."""

    told: list[list[str]] = []
    held: list[str] = []
    samples: list[Hold] = []
    holds = 200

    def do_POST(self) -> None:
        status, body = 200, b'{"purged": 2}'
        length = int(self.headers["content-length"])
        if self.path.startswith("/v1/models/rumba/"):
            self.held.append(self.path.rpartition("/")[2])
            self.samples.append(Hold.decode(self.rfile.read(length)))
            status = self.holds
        else:
            assert self.path == "/v1/purge"
            self.told.append(json.loads(self.rfile.read(length))["tags"])
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def cache() -> ThreadingHTTPServer:
    Cache.told, Cache.held, Cache.samples, Cache.holds = [], [], [], 200
    server = ThreadingHTTPServer(("127.0.0.1", 0), Cache)
    Thread(target=server.serve_forever, daemon=True).start()
    return server


def url_of(server: ThreadingHTTPServer) -> str:
    return f"http://127.0.0.1:{server.server_port}"


def test_a_region_holds_the_model_before_a_record_is_readable(
    place: Workplace, approve_all: ApproveAll, store_url: str, cache: ThreadingHTTPServer
) -> None:
    model = approve_all()[0].recipe.model
    Cache.holds = 502
    refused = run("publish", "--region", url_of(cache))
    assert refused.exit_code == 1 and "cannot hold model" in refused.output
    assert stored(place, store_url).record is None
    Cache.holds = 200
    assert run("publish", "--region", url_of(cache)).exit_code == 0
    assert stored(place, store_url).record is not None
    assert set(Cache.held) == {model}
    # What it calibrates the model by: records of that model, each with its asset's key.
    keys = Keyring((place.key.trusted_for(["rumba"]),))
    for key, signed in Cache.samples[-1].sample:
        found = Record.from_signed(signed, keys, key=key, property="rumba", now=time.time())
        assert found.body.recipe.model.hex() == model
    assert len(Cache.samples[-1].sample) == 4


def test_a_revocation_goes_out_even_if_a_region_lacks_a_model(
    place: Workplace, approve_all: ApproveAll, store_url: str, cache: ThreadingHTTPServer
) -> None:
    approve_all()
    run("publish")
    Cache.holds = 502
    run("revoke", "red-white.jpg", "--region", url_of(cache))
    assert stored(place, store_url).tombstone is not None


def test_revoking_buries_the_record_and_purges_the_caches(
    place: Workplace, approve_all: ApproveAll, store_url: str, cache: ThreadingHTTPServer
) -> None:
    approve_all()
    run("publish")
    old = stored(place, store_url).record
    result = run(
        *("revoke", "red-white.jpg", "--by", "Ada", "--reason", "wrong red"),
        *("--edge-admin", url_of(cache), "--region", url_of(cache)),
    )
    assert result.exit_code == 0, result.output
    assert result.output.count(": confirmed") == 4
    key = place.site.request(RED).key
    assert Cache.told == [[key.hex()], [key.hex()]]
    entry = stored(place, store_url)
    assert entry.record is None and entry.tombstone is not None and old is not None
    keys = Keyring((place.key.trusted_for(["rumba"]),))
    buried = Tombstone.from_signed(entry.tombstone, keys, key=key, property="rumba")
    with pytest.raises(RevokedRecord):
        trusted(place, old, buried=buried.seq)


def test_what_was_revoked_stays_so_until_it_is_approved_again(
    place: Workplace, approve_all: ApproveAll, store_url: str, cache: ThreadingHTTPServer
) -> None:
    approve_all()
    run("publish")
    assert run("revoke", RED).exit_code == 0
    assert counts(run("publish", "--json")) == {"published": 0, "refused": 0, "already": 3}
    assert stored(place, store_url).record is None
    assert run("qa", "approve", RED, "--by", "Grace").exit_code == 0
    assert counts(run("publish", "--json", "--region", url_of(cache)))["published"] == 1
    entry = stored(place, store_url)
    assert entry.record is not None and entry.tombstone is not None
    assert trusted(place, entry.record).body.seq > 5
    assert Cache.told == [[place.site.request(RED).key.hex()]]


def test_a_target_that_does_not_confirm_fails_the_command_and_is_told_again(
    place: Workplace, approve_all: ApproveAll, free_port: int, cache: ThreadingHTTPServer
) -> None:
    approve_all()
    run("publish")
    gone = f"http://127.0.0.1:{free_port}"
    first = run("revoke", RED, "--edge-admin", gone)
    assert first.exit_code == 1
    assert f"cache {gone}: NOT confirmed" in first.output
    again = run("revoke", RED, "--edge-admin", url_of(cache))
    assert again.exit_code == 0 and "0 revoked, 1 had been" in again.output
    assert len(Cache.told) == 1


@pytest.mark.parametrize(
    ("arguments", "revoked"),
    [(["--all"], 4), (["--family", "squares"], 4), (["blue-*"], 2), ([RED, "blue-grey.jpg"], 2)],
)
def test_revoking_by_path_pattern_family_or_all(
    place: Workplace, approve_all: ApproveAll, arguments: list[str], revoked: int
) -> None:
    approve_all()
    run("publish")
    result = run("revoke", *arguments)
    assert result.exit_code == 0 and result.output.startswith(f"{revoked} revoked")


@pytest.mark.parametrize("arguments", [["/rumba/none.jpg"], ["--family", "hats"]])
def test_revoking_what_was_never_published_is_an_error(
    place: Workplace, approve_all: ApproveAll, arguments: list[str]
) -> None:
    approve_all()
    result = run("revoke", *arguments)
    assert result.exit_code == 1 and "rehydrate: " in result.stderr


def test_every_act_is_in_the_audit(place: Workplace, approve_all: ApproveAll) -> None:
    approve_all()
    run("publish")
    run("revoke", RED, "--by", "Ada", "--reason", "wrong red")
    with place.database.reading() as session:
        rows = session.scalars(select(AuditRow).where(AuditRow.subject == RED)).all()
    assert [(row.what, row.who == "Ada") for row in rows] == [
        ("import", False),
        ("publish", False),
        ("reject", True),
        ("revoke", True),
    ]
    assert rows[-1].detail["reason"] == "wrong red"


def test_an_approval_that_is_too_long_for_a_record_is_refused(
    place: Workplace, approve_all: ApproveAll, tmp_path: Path
) -> None:
    entry = approve_all()[0]
    long = msgspec.structs.replace(
        entry, recipe=msgspec.structs.replace(entry.recipe, prompt="red " * 1500)
    )
    write_approved(tmp_path / "long.jsonl", [long])
    assert run("qa", "import", str(tmp_path / "long.jsonl")).exit_code == 0
    result = run("publish")
    assert result.exit_code == 1 and "shorten the prompt" in result.stderr
