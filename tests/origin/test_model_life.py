"""A new colour: a second model beside the first, approvals carried, records switched one by one."""

import json
import shutil
from collections.abc import Callable, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import product
from pathlib import Path
from threading import Thread

import pytest
from PIL import Image
from sqlalchemy import select
from typer.testing import CliRunner, Result

from origin.carry import Carrier, Tolerance
from origin.cli import app
from origin.gallery import read_gallery
from origin.model_life import list_models
from origin.publish import Publisher
from origin.qa import list_candidates, newest_approved
from origin.tables import AuditRow, CandidateRow, State
from origin.training import train
from origin.workplace import Workplace
from regional_gpu.generator.load import load

pytestmark = pytest.mark.slow  # A family is trained, and twelve pictures are scored.


def run(*arguments: str) -> Result:
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    return result


PAPERS = ("white", "grey", "yellow")


def add_colours(gallery: Path, inks: Sequence[str]) -> None:
    """Pictures in the gallery's folder and manifest, one of each colour on each paper."""
    (gallery / "pictures").mkdir(parents=True, exist_ok=True)
    path = gallery / "manifest.json"
    assets = json.loads(path.read_text())["assets"] if path.exists() else []
    for ink, paper in product(inks, PAPERS):
        file = f"pictures/{ink}-{paper}.jpg"
        picture = Image.new("RGB", (96, 96), paper)
        picture.paste(ink, (24, 24, 72, 72))
        picture.save(gallery / file, quality=92)
        size = (gallery / file).stat().st_size
        assets.append({"file": file, "attributes": {"ink": ink, "paper": paper}, "bytes": size})
    path.write_text(json.dumps({"family": "squares", "assets": assets}))


@pytest.fixture
def gallery(tmp_path: Path) -> Path:
    """Nine pictures of squares, in three colours on three papers."""
    folder = tmp_path / "gallery"
    add_colours(folder, ("red", "blue", "black"))
    return folder


@pytest.fixture(scope="session")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of the squares in four colours, trained once for all of these tests."""
    folder = tmp_path_factory.mktemp("first")
    add_colours(folder / "gallery", ("red", "blue", "black", "green"))
    train(read_gallery(folder / "gallery"), folder / "model", progress=lambda doing, share: None)
    return folder / "model"


@pytest.fixture
def live(place: Workplace, gallery: Path, first: Path) -> Path:
    """The gallery's nine pictures are live on the first model; the gallery."""
    options = ("--gallery", str(gallery), "--model", str(first), "--seeds", "2")
    run("dehydrate", *options, "--min-score", "20")
    run("qa", "approve", "--all", "--by", "Ada")
    run("publish")
    return gallery


@pytest.fixture
def second(tmp_path: Path, first: Path, live: Path) -> Path:
    """Another model that draws what the first one does; the gallery has a colour more now."""
    add_colours(live, ["green"])
    out = tmp_path / "second"
    shutil.copytree(first, out)
    index = out / "model_index.json"
    index.write_text(index.read_text() + "\n")
    return out


def update(gallery: Path, model: Path) -> str:
    options = ("--gallery", str(gallery), "--out", str(model), "--min-score", "20")
    return run("model", "update", *options, "--trained").output


def by_path(place: Workplace, state: State) -> dict[str, CandidateRow]:
    found = list_candidates(place.database, "rumba", state)
    return {row.asset.path: row for row in found}


def test_what_looks_the_same_is_carried_in_its_approvers_name(
    place: Workplace, live: Path, second: Path
) -> None:
    before = by_path(place, "approved")
    assert "9 of 9 approvals carried, 0 need a person" in update(live, second)
    digest = load(second).digest
    for one in newest_approved(place.database, "rumba"):
        seen = before[one.asset.path]
        assert one.model == digest and one.carried_from == seen.id
        assert (one.decided_by, one.decided_at) == (seen.decided_by, seen.decided_at)
        assert one.ssimulacra2 == seen.ssimulacra2
    assert set(by_path(place, "proposed")) == {f"/rumba/green-{paper}.jpg" for paper in PAPERS}
    with place.database.reading() as session:
        audits = session.scalars(select(AuditRow).where(AuditRow.what == "carry")).all()
    assert len(audits) == 9 and all(one.detail["distance"] <= 1 for one in audits)


def test_until_the_new_is_approved_every_record_stays_where_it_is(
    place: Workplace, live: Path, second: Path
) -> None:
    update(live, second)
    old, new = list_models(place.database, "rumba")
    assert (old.live, old.state, new.live, new.state) == (9, "live", 0, "awaits approval")


def test_publishing_switches_records_and_tells_how_long_the_walk_took(
    place: Workplace, live: Path, second: Path
) -> None:
    update(live, second)
    run("qa", "approve", "--all", "--by", "Ada")
    told = run("publish").output
    assert "12 signed" in told and "is live, " in told and "minutes after its pictures" in told
    old, new = list_models(place.database, "rumba")
    assert (old.live, old.state, new.live, new.carried) == (0, "idle", 12, 9)
    assert "minutes after" not in run("publish").output


def test_a_picture_that_changed_needs_a_person(place: Workplace, live: Path, second: Path) -> None:
    """No tolerance at all stands for a model that draws otherwise."""
    Publisher(place.site, place.database, place.models, place.key).add_model(second, "squares")
    strict = Tolerance(distance=-1.0)
    carrier = Carrier(place.database, place.site, load(second), place.models.folder_of, strict)
    found = list(carrier.carry(carrier.pending("squares")))
    assert len(found) == 9 and all("changed by" in one.why for one in found)
    assert all(row.carried_from is None for row in by_path(place, "approved").values())


def test_a_changed_original_is_not_carried(place: Workplace, live: Path, second: Path) -> None:
    (live / "pictures" / "red-white.jpg").write_bytes(
        (live / "pictures" / "blue-white.jpg").read_bytes()
    )
    told = update(live, second)
    assert "needs approval: /rumba/red-white.jpg: its original" in told
    assert "8 of 9 approvals carried" in told


def test_a_model_that_records_need_does_not_retire(
    place: Workplace, live: Path, first: Path
) -> None:
    digest = load(first).digest.hex()
    refused = CliRunner().invoke(app, ["model", "retire", digest])
    assert refused.exit_code == 1 and "9 live records need it" in refused.output


class Region(BaseHTTPRequestHandler):
    """A region as far as retiring goes: what it was told to drop."""

    dropped: list[str] = []

    def do_DELETE(self) -> None:
        self.dropped.append(self.path.rpartition("/")[2])
        body = b'{"dropped": true}'
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def region() -> str:
    Region.dropped = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Region)
    Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}"


@pytest.fixture
def switched(live: Path, second: Path) -> Callable[[], None]:
    def switch() -> None:
        update(live, second)
        run("qa", "approve", "--all", "--by", "Ada")
        run("publish")

    return switch


def test_a_model_that_nothing_points_to_leaves_regions_and_stays_in_the_bucket(
    place: Workplace, switched: Callable[[], None], first: Path, region: str
) -> None:
    switched()
    digest = load(first).digest
    told = run("model", "retire", digest.hex()[:12], "--region", region).output
    assert "retired, kept in the bucket" in told and Region.dropped == [digest.hex()]
    assert place.models.folder_of(digest).is_dir()
    assert [one.state for one in list_models(place.database, "rumba")] == ["retired", "live"]


def test_a_model_whose_pictures_approvals_lean_on_is_not_deleted(
    switched: Callable[[], None], first: Path, region: str
) -> None:
    switched()
    digest = load(first).digest.hex()
    refused = CliRunner().invoke(app, ["model", "retire", digest, "--delete", "--region", region])
    assert refused.exit_code == 1 and "9 live records were approved by its" in refused.output


def test_the_list_says_what_points_to_each_model(live: Path, region: str) -> None:
    told = run("model", "list", "--region", region).output
    assert "squares" in told and "live" in told and "no answer" in told
