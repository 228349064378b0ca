"""What the control plane knows of families, beside what the ledger counted: originals, what changed
of them, models, records."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from origin.console.coverage import originals_of
from origin.database import Database
from origin.tables import AssetRow, LogEntryRow, ModelRow, RecordRow

_SHIPPED_RECORD_BYTES = 474.0
_RECORDS_LOOKED_AT = 100


@dataclass(frozen=True)
class Facts:
    """What the control plane knows of a property's families: how many originals and their bytes,
    the share of them that changed, the size of models and of a record."""

    originals: Mapping[str, tuple[int, int]]
    changes: Mapping[str, float]
    models: Mapping[str, float]
    record_bytes: float

    @property
    def inventory_bytes(self) -> int:
        return sum(size for _, size in self.originals.values())

    @property
    def changed_images(self) -> float:
        return sum(
            count * self.changes.get(family, 0.0) for family, (count, _) in self.originals.items()
        )

    @property
    def changed_bytes(self) -> float:
        return sum(
            size * self.changes.get(family, 0.0) for family, (_, size) in self.originals.items()
        )


NOTHING_KNOWN = Facts({}, {}, {}, _SHIPPED_RECORD_BYTES)


def facts_of(database: Database, since: int, property: str = "") -> Mapping[str, Facts]:
    """What the control plane knows of families, by property; of one, or read once for all."""
    replaced = (
        select(AssetRow.property, AssetRow.family, func.count())
        .join(RecordRow, RecordRow.asset_id == AssetRow.id)
        .where(RecordRow.ended_at >= since)
        .group_by(AssetRow.property, AssetRow.family)
    )
    sizes = (
        select(ModelRow.property, ModelRow.family, func.max(ModelRow.size))
        .where(ModelRow.retired_at.is_(None))
        .group_by(ModelRow.property, ModelRow.family)
    )
    if property:
        replaced = replaced.where(RecordRow.property == property)
        sizes = sizes.where(ModelRow.property == property)
    changes: defaultdict[str, dict[str, float]] = defaultdict(dict)
    models: defaultdict[str, dict[str, float]] = defaultdict(dict)
    with database.reading() as session:
        originals = originals_of(session, property)
        for name, family, ended in session.execute(replaced):
            count, _ = originals[name][family]
            changes[name][family] = min(1.0, ended / count)
        for name, family, size in session.execute(sizes):
            models[name][family] = float(size)
        return {
            name: Facts(of_name, changes[name], models[name], _record_bytes(session, name))
            for name, of_name in originals.items()
        }


def _record_bytes(session: Session, property: str) -> float:
    """Of the newest records, on average."""
    lengths = (
        select(func.length(LogEntryRow.content).label("size"))
        .where(LogEntryRow.property == property, LogEntryRow.tag == "put")
        .order_by(LogEntryRow.seq.desc())
        .limit(_RECORDS_LOOKED_AT)
        .subquery()
    )
    return float(session.scalar(select(func.avg(lengths.c.size))) or _SHIPPED_RECORD_BYTES)
