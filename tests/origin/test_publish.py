"""Publishing and revoking against a real database: what is in force, and what the log says."""

import json
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import select
from typer.testing import CliRunner, Result

from kvsync.errors import RevokedRecord
from kvsync.log import Bury, Put
from kvsync.record import Record, Tombstone
from kvsync.signing import Keyring
from origin.approved import Approved, write_approved
from origin.cli import app
from origin.sync import truth
from origin.sync.confirm import last_given
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


def in_force(place: Workplace, path: str = RED) -> Put | Bury | None:
    """What the log says last of a path; None where it says nothing."""
    key, end = place.site.request(path).key, last_given(place.database, "rumba")
    found = [one for one in truth.in_force(place.database, "rumba", end) if one.key == key]
    return found[-1] if found else None


def record(place: Workplace, path: str = RED) -> bytes:
    """The signed record of a path, which has one."""
    found = in_force(place, path)
    assert isinstance(found, Put)
    return found.signed


def trusted(place: Workplace, signed: bytes, path: str = RED, buried: int = -1) -> Record:
    keys = Keyring((place.key.trusted_for(["rumba"]),))
    key = place.site.request(path).key
    return Record.from_signed(
        signed, keys, key=key, property="rumba", now=time.time(), buried_seq=buried
    )


def test_what_was_approved_is_signed_and_in_force(
    place: Workplace, approve_all: ApproveAll
) -> None:
    approval = next(one for one in approve_all() if one.path == RED)
    assert counts(run("publish", "--json")) == {"published": 4, "refused": 0, "already": 0}
    signed = record(place)
    assert len(signed) <= 512
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


def test_a_changed_original_is_refused_with_the_reason(
    place: Workplace, approve_all: ApproveAll, gallery: Path
) -> None:
    approve_all()
    (gallery / "pictures" / "red-white.jpg").write_bytes(b"another picture")
    result = run("publish", "--json")
    assert counts(result) == {"published": 3, "refused": 1, "already": 0}
    assert f"not published: {RED}: its original changed" in result.output


def test_a_record_whose_original_changed_is_withdrawn(
    place: Workplace, approve_all: ApproveAll, gallery: Path
) -> None:
    approve_all()
    run("publish")
    (gallery / "pictures" / "red-white.jpg").write_bytes(b"another picture")
    result = run("publish", "--json")
    assert counts(result) == {"published": 0, "refused": 1, "already": 3}
    assert "its record was withdrawn" in result.output
    assert isinstance(in_force(place), Bury)
    assert counts(run("publish", "--json"))["refused"] == 0


def test_a_record_whose_original_is_gone_is_withdrawn(
    place: Workplace, approve_all: ApproveAll, gallery: Path
) -> None:
    approve_all()
    run("publish")
    (gallery / "pictures" / "red-white.jpg").unlink()
    assert "its record was withdrawn" in run("publish").output
    assert isinstance(in_force(place), Bury)


def test_an_approval_of_the_new_original_takes_the_old_records_place(
    place: Workplace, approve_all: ApproveAll, gallery: Path
) -> None:
    approve_all()
    run("publish")
    (gallery / "pictures" / "red-white.jpg").write_bytes(b"another picture")
    approve_all()
    assert counts(run("publish", "--json")) == {"published": 1, "refused": 0, "already": 3}
    assert trusted(place, record(place)).body.seq > 5


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


def test_revoking_buries_the_record(place: Workplace, approve_all: ApproveAll) -> None:
    approve_all()
    run("publish")
    old = record(place)
    result = run("revoke", "red-white.jpg", "--by", "Ada", "--reason", "wrong red")
    assert result.exit_code == 0, result.output
    buried = in_force(place)
    assert isinstance(buried, Bury)
    keys = Keyring((place.key.trusted_for(["rumba"]),))
    key = place.site.request(RED).key
    tombstone = Tombstone.from_signed(buried.signed, keys, key=key, property="rumba")
    assert tombstone.seq == buried.seq
    with pytest.raises(RevokedRecord):
        trusted(place, old, buried=tombstone.seq)


def test_what_was_revoked_stays_so_until_it_is_approved_again(
    place: Workplace, approve_all: ApproveAll
) -> None:
    approve_all()
    run("publish")
    assert run("revoke", RED).exit_code == 0
    assert counts(run("publish", "--json")) == {"published": 0, "refused": 0, "already": 3}
    assert isinstance(in_force(place), Bury)
    assert run("qa", "approve", RED, "--by", "Grace").exit_code == 0
    assert counts(run("publish", "--json"))["published"] == 1
    assert trusted(place, record(place)).body.seq > 5


def test_revoking_again_writes_nothing_new(place: Workplace, approve_all: ApproveAll) -> None:
    approve_all()
    run("publish")
    run("revoke", RED)
    before = in_force(place)
    again = run("revoke", RED)
    assert again.exit_code == 0 and "0 revoked, 1 had been" in again.output
    assert in_force(place) == before


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
