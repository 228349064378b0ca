"""What there is: properties, families, how far each has come, and what a URL means."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlalchemy import Integer, cast, func, select

from kvsync.errors import RehydrationError
from kvsync.key import read_request
from origin.console.desk import Desk
from origin.console.tables import PromptRow, PromptSetRow
from origin.tables import AssetRow, CandidateRow, ModelRow, RecordRow

_BINS = 20


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


def overview(desk: Desk, property: str) -> Overview:
    site = desk.site(property)
    states, assets, live, scores = _counts(desk, property)
    families = [
        Family(
            name,
            desk.newest_model(property, name),
            *assets.get(name, _listed(desk, property, name)),
            states=states[name],
            live=live.get(name, 0),
            scores=tuple(scores[name]),
        )
        for name in desk.families(property)
    ]
    return Overview(property, site.rules.hosts, families)


def sets_of(desk: Desk, property: str) -> list[tuple[PromptSetRow, int]]:
    """The property's prompt sets with their rows, the newest first."""
    query = (
        select(PromptSetRow, func.count(PromptRow.id))
        .outerjoin(PromptRow, PromptRow.set_id == PromptSetRow.id)
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
    path: str = ""
    key: str = ""
    record: str = ""
    fault: str = ""


def read_url(desk: Desk, property: str, url: str) -> Reading:
    """Its canonical form, its key, and whether a record is live for it."""
    site = desk.site(property)
    target = url.strip()
    if "://" in target:
        _, _, rest = target.partition("://")
        _, slash, tail = rest.partition("/")
        target = slash + tail
    path, _, query = target.partition("#")[0].partition("?")
    try:
        request = read_request(site.rules, path.encode(), query.encode())
    except RehydrationError as error:
        return Reading(url, fault=str(error))
    live = (
        select(RecordRow.seq)
        .join(AssetRow, AssetRow.id == RecordRow.asset_id)
        .where(AssetRow.property == property, AssetRow.key == request.key)
        .where(RecordRow.kind == "record", RecordRow.ended_at.is_(None))
    )
    with desk.database.reading() as session:
        seq = session.scalars(live).one_or_none()
    return Reading(
        url,
        path=request.path,
        key=request.key.hex(),
        record=f"record {seq} is live" if seq is not None else "no record: from the origin",
    )


def _listed(desk: Desk, property: str, family: str) -> tuple[int, int]:
    """Assets and bytes by the gallery's manifest, before the first of them was looked at."""
    catalogue = desk.catalogues.get(property)
    if catalogue is None or catalogue.family != family:
        return 0, 0
    return len(catalogue.assets), sum(asset.bytes for asset in catalogue.assets.values())


def _counts(
    desk: Desk, property: str
) -> tuple[
    defaultdict[str, dict[str, int]],
    dict[str, tuple[int, int]],
    dict[str, int],
    defaultdict[str, list[int]],
]:
    states: defaultdict[str, dict[str, int]] = defaultdict(dict)
    scores: defaultdict[str, list[int]] = defaultdict(lambda: [0] * _BINS)
    of_property = AssetRow.property == property
    by_state = (
        select(AssetRow.family, CandidateRow.state, func.count())
        .join(CandidateRow, CandidateRow.asset_id == AssetRow.id)
        .where(of_property)
        .group_by(AssetRow.family, CandidateRow.state)
    )
    point = cast(CandidateRow.ssimulacra2, Integer)
    by_score = (
        select(AssetRow.family, point, func.count())
        .join(CandidateRow, CandidateRow.asset_id == AssetRow.id)
        .where(of_property, CandidateRow.state.in_(("approved", "proposed")))
        .group_by(AssetRow.family, point)
    )
    by_family = (
        select(AssetRow.family, func.count(), func.coalesce(func.sum(AssetRow.size), 0))
        .where(of_property)
        .group_by(AssetRow.family)
    )
    by_live = (
        select(AssetRow.family, func.count())
        .join(RecordRow, RecordRow.asset_id == AssetRow.id)
        .where(of_property, RecordRow.kind == "record", RecordRow.ended_at.is_(None))
        .group_by(AssetRow.family)
    )
    with desk.database.reading() as session:
        for family, state, count in session.execute(by_state):
            states[family][state] = count
        for family, score, count in session.execute(by_score):
            scores[family][min(_BINS - 1, max(0, score - 80))] += count
        assets = {family: (count, size) for family, count, size in session.execute(by_family)}
        live = {family: count for family, count in session.execute(by_live)}
    return states, assets, live, scores
