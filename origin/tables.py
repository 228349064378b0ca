"""The control plane's tables. Digests and keys are raw bytes, times are Unix seconds."""

import builtins
from typing import Annotated, Any, Literal

from sqlalchemy import (
    JSON,
    BigInteger,
    Computed,
    ForeignKey,
    Index,
    LargeBinary,
    MetaData,
    String,
    Text,
    UniqueConstraint,
    event,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

State = Literal["proposed", "approved", "rejected", "short", "spare"]
"""``short`` fell short of the least score, ``spare`` is another seed than the one proposed; only
``approved`` may be published, by a person."""

SCORE_DOUBT, COLOUR_DOUBT, NOISE_DOUBT = (
    "(100 - ssimulacra2) / 20.0",
    "worst_delta_e / 2.5",
    "(50 - psnr) / 20.0",
)
DOUBT = (
    f"CASE WHEN {SCORE_DOUBT} >= {COLOUR_DOUBT} AND {SCORE_DOUBT} >= {NOISE_DOUBT}"
    f" THEN {SCORE_DOUBT} WHEN {COLOUR_DOUBT} >= {NOISE_DOUBT}"
    f" THEN {COLOUR_DOUBT} ELSE {NOISE_DOUBT} END"
)
"""The worst of three metrics, each 1 at what none should reach: a score of 80, a colour that is 2.5
off in an attribute's region, 30 dB."""

Big = Annotated[int, mapped_column(BigInteger)]
"""Times, sizes and sequence numbers: PostgreSQL's plain integer ends in 2038."""


class Base(DeclarativeBase):
    # Later migrations can only drop constraints that have names.
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {
        bytes: LargeBinary,
        dict[str, Any]: JSON,
        list[float]: JSON,
        list[int]: JSON,
        State: String(16),
    }


class PropertyRow(Base):
    """A property and the last sequence number it gave to an entry of its log."""

    __tablename__ = "properties"
    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    seq: Mapped[Big] = mapped_column(default=0)


class ModelRow(Base):
    """A model whose files lie in the bucket of models and are served to regions."""

    __tablename__ = "models"
    digest: Mapped[bytes] = mapped_column(primary_key=True)
    property: Mapped[str] = mapped_column(ForeignKey("properties.id"))
    family: Mapped[str]
    size: Mapped[Big]
    announcement: Mapped[bytes]
    added_at: Mapped[Big]
    retired_at: Mapped[Big | None] = mapped_column(default=None)


class AssetRow(Base):
    """An original as it was when last read from its store."""

    __tablename__ = "assets"
    __table_args__ = (
        UniqueConstraint("property", "key"),
        Index(None, "property", "path"),
        Index(None, "property", "family", "size"),
    )
    id: Mapped[int] = mapped_column(primary_key=True)
    property: Mapped[str] = mapped_column(ForeignKey("properties.id"))
    path: Mapped[str] = mapped_column(Text)
    key: Mapped[bytes]
    family: Mapped[str]
    validator: Mapped[str]
    digest: Mapped[bytes]
    media_type: Mapped[str]
    size: Mapped[Big]
    attributes: Mapped[dict[str, Any]]


class ApproverRow(Base):
    """A person who may approve; records carry the random id, never the name."""

    __tablename__ = "approvers"
    id: Mapped[bytes] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)


class CandidateRow(Base):
    """A recipe found for an asset, with what was measured and what a person decided.

    Another recipe is another row, so what was once decided stays as it was. ``original`` is the
    digest of the bytes that were compared; ``recipe`` is msgpack, ``payload`` what it names where
    that is too large to be inside. ``carried_from`` is the candidate
    whose approval by a person was carried to this one's model. ``region_delta_e`` is the mean
    CIEDE2000 by attribute, where that was measured, and ``worst_delta_e`` the largest of them, or
    ``delta_e`` where none was. ``doubt`` is the worst metric (:data:`DOUBT`): the order in which a
    person is asked. ``property``, ``family`` and ``path`` are the asset's, kept here too so that
    each order of the queue is read from one index.
    """

    __tablename__ = "candidates"
    __table_args__ = (
        UniqueConstraint("asset_id", "original", "recipe"),
        Index(None, "property", "doubt", "id", "state", "family"),
        Index(None, "property", "ssimulacra2", "id", "state", "family"),
        Index(None, "property", "worst_delta_e", "id", "state", "family"),
        Index(None, "property", "path", "id", "state", "family"),
        Index(None, "property", "id", "state", "family"),
        Index(None, "property", "state", "family", "ssimulacra2"),
    )
    id: Mapped[int] = mapped_column(primary_key=True)
    property: Mapped[str] = mapped_column(String(40), server_default="")
    family: Mapped[str] = mapped_column(server_default="")
    path: Mapped[str] = mapped_column(Text, server_default="")
    asset_id: Mapped[int] = mapped_column(ForeignKey("assets.id"), index=True)
    original: Mapped[bytes]
    model: Mapped[bytes]
    recipe: Mapped[bytes]
    payload: Mapped[bytes | None] = mapped_column(default=None)
    algorithm: Mapped[str]
    fingerprint: Mapped[bytes]
    ssimulacra2: Mapped[float]
    delta_e: Mapped[float]
    psnr: Mapped[float]
    seeds_tried: Mapped[int]
    state: Mapped[State]
    reason: Mapped[str] = mapped_column(default="")
    decided_by: Mapped[bytes | None] = mapped_column(ForeignKey("approvers.id"))
    decided_at: Mapped[Big | None]
    made_at: Mapped[Big]
    carried_from: Mapped[int | None] = mapped_column(default=None)
    region_delta_e: Mapped[dict[str, Any] | None] = mapped_column(default=None)
    worst_delta_e: Mapped[float]
    doubt: Mapped[float] = mapped_column(Computed(DOUBT))

    asset: Mapped[AssetRow] = relationship(lazy="joined", innerjoin=True)
    approver: Mapped[ApproverRow | None] = relationship(lazy="joined")


@event.listens_for(CandidateRow, "before_insert")
@event.listens_for(CandidateRow, "before_update")
def _keep_worst_colour(_mapper: object, _connection: object, row: CandidateRow) -> None:
    """Whoever writes the colours: no SQL that every database has could derive it from them."""
    row.worst_delta_e = max((row.region_delta_e or {}).values(), default=row.delta_e)


class LogEntryRow(Base):
    """A change of a property, in the transaction of the change itself: the log's outbox.

    ``tag`` names the kind of :data:`kvsync.log.Entry`, ``key`` the asset where it is of one, and
    ``content`` is what is signed: a record, tombstone or announcement; or a property's TOML.
    """

    __tablename__ = "log_entries"
    __table_args__ = (
        Index(None, "property", "key", "seq"),
        Index(None, "property", "tag", "seq"),
    )
    property: Mapped[str] = mapped_column(ForeignKey("properties.id"), primary_key=True)
    seq: Mapped[Big] = mapped_column(primary_key=True, autoincrement=False)
    tag: Mapped[str] = mapped_column(String(16))
    key: Mapped[bytes | None]
    content: Mapped[bytes]


class LogBatchRow(Base):
    """How entries ``first`` to ``last`` were sealed: all that their batch needs to be made again.

    ``previous`` and ``digest`` chain the batches, ``size`` is in signed bytes.
    """

    __tablename__ = "log_batches"
    __table_args__ = (UniqueConstraint("property", "last"),)
    property: Mapped[str] = mapped_column(ForeignKey("properties.id"), primary_key=True)
    first: Mapped[Big] = mapped_column(primary_key=True, autoincrement=False)
    last: Mapped[Big]
    previous: Mapped[bytes]
    digest: Mapped[bytes]
    made_at_ms: Mapped[Big]
    size: Mapped[Big]


class RecordRow(Base):
    """A record or tombstone that was published; what was signed is the log's entry ``seq``.

    ``delivered_at`` is set once every region confirmed it; ``ended_at`` when a later
    record or tombstone took its place.
    """

    __tablename__ = "records"
    __table_args__ = (UniqueConstraint("property", "seq"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    property: Mapped[str] = mapped_column(ForeignKey("properties.id"))
    seq: Mapped[Big]
    asset_id: Mapped[int] = mapped_column(ForeignKey("assets.id"), index=True)
    candidate_id: Mapped[int | None] = mapped_column(ForeignKey("candidates.id"), index=True)
    kind: Mapped[str] = mapped_column(String(16))
    made_at: Mapped[Big]
    delivered_at: Mapped[Big | None]
    ended_at: Mapped[Big | None]

    asset: Mapped[AssetRow] = relationship(lazy="joined", innerjoin=True)
    candidate: Mapped[CandidateRow | None] = relationship(lazy="joined")
    entry: Mapped[LogEntryRow] = relationship(
        lazy="joined",
        innerjoin=True,
        viewonly=True,
        primaryjoin="and_(foreign(RecordRow.property) == LogEntryRow.property, "
        "foreign(RecordRow.seq) == LogEntryRow.seq)",
    )

    @builtins.property
    def signed(self) -> bytes:
        return self.entry.content


class RangeRow(Base):
    """A span of a continuous attribute that a person judges by a drawn sample of candidates.

    ``low`` and ``high`` are lists of numbers: one for a number or an angle, three for a colour.
    ``turns`` is of an angle, whose span may pass through 0.
    """

    __tablename__ = "ranges"
    id: Mapped[int] = mapped_column(primary_key=True)
    property: Mapped[str] = mapped_column(ForeignKey("properties.id"))
    family: Mapped[str]
    attribute: Mapped[str]
    low: Mapped[list[float]]
    high: Mapped[list[float]]
    turns: Mapped[bool]
    sample: Mapped[list[int]]
    drawn_at: Mapped[Big]
    decided_by: Mapped[bytes | None] = mapped_column(ForeignKey("approvers.id"))
    decided_at: Mapped[Big | None]


class AuditRow(Base):
    """Who did what to which asset, when; the database refuses to change or remove a row."""

    __tablename__ = "audit"
    __table_args__ = (Index(None, "who", "id"), Index(None, "what", "id"))
    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[Big]
    who: Mapped[str]
    what: Mapped[str]
    subject: Mapped[str] = mapped_column(Text)
    detail: Mapped[dict[str, Any]]
