"""What there is: properties, families, how far each has come, and what a URL means."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from kvsync.errors import RehydrationError
from kvsync.key import read_request, read_whole
from kvsync.property import Property
from origin.console.coverage import coverage, spread
from origin.console.desk import Desk
from origin.console.families import family_rows
from origin.console.tables import FamilyRow, PromptCountRow, PromptSetRow
from origin.tables import AssetRow, ModelRow, RecordRow


@dataclass(frozen=True)
class Family:
    """One family's coverage: counts of assets and candidates by state, scores of those approved
    or proposed in bins of one point from 80 to 100, and the originals' bytes."""

    name: str
    model: ModelRow | None
    assets: int
    bytes: int
    states: Mapping[str, int]
    live: int
    scores: tuple[int, ...] = ()
    pattern: str = ""

    @property
    def candidates(self) -> int:
        return sum(self.states.values())


@dataclass(frozen=True)
class Overview:
    id: str
    hosts: tuple[str, ...]
    families: list[Family] = field(default_factory=list)

    @property
    def live(self) -> int:
        return sum(one.live for one in self.families)

    @property
    def waiting(self) -> int:
        return sum(one.states.get("proposed", 0) for one in self.families)


def overview(desk: Desk, property: str, *, with_scores: bool = False) -> Overview:
    """The property's families; how their scores are spread takes a little longer."""
    site = desk.site(property)
    names, made = desk.families(property), family_rows(desk, property)
    with desk.database.reading() as session:
        found = coverage(session, property)
        models = _newest_models(session, property)
        scores = {name: spread(session, property, name) for name in names if with_scores}
    families = [
        Family(
            name,
            models.get(name),
            # What was described so far, or all that the gallery lists.
            *max(found.originals.get(name, (0, 0)), _listed(desk, property, name, made)),
            states=found.states.get(name, {}),
            live=found.live.get(name, 0),
            scores=scores.get(name, ()),
            pattern=made[name].pattern if name in made else "",
        )
        for name in names
    ]
    return Overview(property, site.rules.hosts, families)


def sets_of(desk: Desk, property: str) -> list[tuple[PromptSetRow, int]]:
    """The property's prompt sets with their rows, the newest first."""
    query = (
        select(PromptSetRow, func.coalesce(func.sum(PromptCountRow.prompts), 0))
        .outerjoin(PromptCountRow, PromptCountRow.set_id == PromptSetRow.id)
        .where(PromptSetRow.property == property)
        .group_by(PromptSetRow.id)
        .order_by(PromptSetRow.id.desc())
        .limit(100)
    )
    with desk.database.reading() as session:
        return [(row, count) for row, count in session.execute(query)]


@dataclass(frozen=True)
class Reading:
    """What a pasted URL means; ``fault`` says why it means nothing."""

    url: str
    canonical: str = ""
    path: str = ""
    key: bytes = b""
    record: str = ""
    fault: str = ""


def read_with(rules: Property, url: str) -> Reading:
    """A URL's canonical form and key by these rules; nothing is looked up."""
    target = url.strip()
    if "://" in target:
        _, _, rest = target.partition("://")
        _, slash, tail = rest.partition("/")
        target = slash + tail
    path, _, query = target.partition("#")[0].partition("?")
    read = read_whole if rules.pass_through else read_request
    try:
        request = read(rules, path.encode(), query.encode())
    except RehydrationError as error:
        return Reading(url, fault=str(error))
    return Reading(url, canonical=request.canonical, path=request.path, key=request.key)


def read_url(desk: Desk, rules: Property, url: str) -> Reading:
    """The same, and whether a record is live for it."""
    reading = read_with(rules, url)
    if reading.fault:
        return reading
    live = (
        select(RecordRow.seq)
        .join(AssetRow, AssetRow.id == RecordRow.asset_id)
        .where(AssetRow.property == rules.id, AssetRow.key == reading.key)
        .where(RecordRow.kind == "record", RecordRow.ended_at.is_(None))
    )
    with desk.database.reading() as session:
        seq = session.scalars(live).one_or_none()
    record = f"record {seq} is live" if seq is not None else "no record: from the origin"
    return replace(reading, record=record)


def _newest_models(session: Session, property: str) -> dict[str, ModelRow]:
    """Of each family the model that was added last and is still in use."""
    query = (
        select(ModelRow)
        .where(ModelRow.property == property, ModelRow.retired_at.is_(None))
        .order_by(ModelRow.added_at)
    )
    return {row.family: row for row in session.scalars(query)}


def _listed(
    desk: Desk, property: str, family: str, made: Mapping[str, FamilyRow]
) -> tuple[int, int]:
    """Assets and bytes by the gallery's manifest, or by the pattern's own look."""
    if family in made:
        return made[family].originals, 0
    catalogue = desk.catalogues.get(property)
    if catalogue is None or catalogue.family != family:
        return 0, 0
    return len(catalogue.assets), sum(asset.bytes for asset in catalogue.assets.values())
