"""The console's own tables, beside the control plane's. Times are Unix seconds."""

import builtins
from typing import Any, Literal

from sqlalchemy import JSON, ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from origin.tables import Base, Big, CandidateRow

Role = Literal["viewer", "operator", "approver", "admin"]
"""Each may do what those before it may."""

ROLES: tuple[Role, ...] = ("viewer", "operator", "approver", "admin")

JobState = Literal["queued", "running", "paused", "cancelled", "done", "failed"]
ENDED: tuple[JobState, ...] = ("cancelled", "done", "failed")


class AccountRow(Base):
    """A person. ``password`` is argon2id in PHC form, ``approver_id`` what records carry."""

    __tablename__ = "accounts"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(80), unique=True)
    password: Mapped[str]
    role: Mapped[str] = mapped_column(String(16))
    approver_id: Mapped[bytes] = mapped_column(ForeignKey("approvers.id"))
    must_change: Mapped[bool]
    made_at: Mapped[Big]
    disabled_at: Mapped[Big | None]


class SessionRow(Base):
    """A browser that is logged in, by the digest of its cookie."""

    __tablename__ = "sessions"
    digest: Mapped[bytes] = mapped_column(primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id"), index=True)
    csrf: Mapped[str] = mapped_column(String(64))
    made_at: Mapped[Big]
    seen_at: Mapped[Big]

    account: Mapped[AccountRow] = relationship(lazy="joined", innerjoin=True)


class TokenRow(Base):
    """A key to the API, by its digest; it may do no more than ``role``, nor than its account."""

    __tablename__ = "tokens"
    id: Mapped[int] = mapped_column(primary_key=True)
    digest: Mapped[bytes] = mapped_column(unique=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id"))
    name: Mapped[str] = mapped_column(String(80))
    role: Mapped[str] = mapped_column(String(16))
    made_at: Mapped[Big]
    used_at: Mapped[Big | None]
    revoked_at: Mapped[Big | None]

    account: Mapped[AccountRow] = relationship(lazy="joined", innerjoin=True)


class AttemptRow(Base):
    """Failed logins under one name, known here or not, or from one address, by digest."""

    __tablename__ = "login_attempts"
    subject: Mapped[bytes] = mapped_column(primary_key=True)
    failures: Mapped[int]
    last_at: Mapped[Big]


class FamilyRow(Base):
    """A family that was made here: the originals whose names are like ``pattern``.

    ``originals`` of them, whose attributes had the values in ``attributes``, were found at
    ``looked_at``.
    """

    __tablename__ = "families"
    __table_args__ = (UniqueConstraint("property", "name"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    property: Mapped[str] = mapped_column(ForeignKey("properties.id"))
    name: Mapped[str] = mapped_column(String(40))
    pattern: Mapped[str] = mapped_column(Text)
    originals: Mapped[int]
    attributes: Mapped[dict[str, Any]]
    made_by: Mapped[str]
    looked_at: Mapped[Big]


class CountRow(Base):
    """How many candidates of a family are in a state and score so many whole points, from 80 (and
    fewer) to 99 (and more). The database's own triggers keep it, with every write to them."""

    __tablename__ = "candidate_counts"
    property: Mapped[str] = mapped_column(String(40), primary_key=True)
    family: Mapped[str] = mapped_column(primary_key=True)
    state: Mapped[str] = mapped_column(String(16), primary_key=True)
    points: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    candidates: Mapped[int]


class PromptSetRow(Base):
    """A prompt set that was imported."""

    __tablename__ = "prompt_sets"
    id: Mapped[int] = mapped_column(primary_key=True)
    property: Mapped[str] = mapped_column(ForeignKey("properties.id"), index=True)
    family: Mapped[str]
    model: Mapped[bytes]
    name: Mapped[str] = mapped_column(String(120))
    made_by: Mapped[str]
    made_at: Mapped[Big]


class PromptRow(Base):
    """One line of a set, and the candidate it led to; without ``seed`` several are tried.

    ``state`` is ``waiting``, ``done`` or ``failed``, the last with a reason.
    """

    __tablename__ = "prompts"
    __table_args__ = (
        Index("ix_prompts_set_id_state", "set_id", "state"),
        Index(None, "path"),
    )
    id: Mapped[int] = mapped_column(primary_key=True)
    set_id: Mapped[int] = mapped_column(ForeignKey("prompt_sets.id"))
    line: Mapped[int]
    path: Mapped[str] = mapped_column(Text)
    prompt: Mapped[str] = mapped_column(Text)
    attributes: Mapped[dict[str, Any]] = mapped_column(JSON)
    seed: Mapped[Big | None]
    width: Mapped[int]
    height: Mapped[int]
    steps: Mapped[int]
    sampler: Mapped[str] = mapped_column(String(40))
    guidance: Mapped[float]
    state: Mapped[str] = mapped_column(String(16), default="waiting")
    reason: Mapped[str] = mapped_column(Text, default="")
    candidate_id: Mapped[int | None] = mapped_column(ForeignKey("candidates.id"), index=True)


class PromptCountRow(Base):
    """How many prompts of a set are in a state: their candidate's, or their own without one. The
    database's own triggers keep it."""

    __tablename__ = "prompt_counts"
    set_id: Mapped[int] = mapped_column(
        ForeignKey("prompt_sets.id"), primary_key=True, autoincrement=False
    )
    state: Mapped[str] = mapped_column(String(16), primary_key=True)
    prompts: Mapped[int]


class JobRow(Base):
    """Candidates being made for a set; the queue holds only its number, so it can be asked anew."""

    __tablename__ = "jobs"
    id: Mapped[int] = mapped_column(primary_key=True)
    set_id: Mapped[int] = mapped_column(ForeignKey("prompt_sets.id"), index=True)
    state: Mapped[str] = mapped_column(String(16), index=True)
    seeds: Mapped[int]
    min_score: Mapped[float]
    total: Mapped[int]
    done: Mapped[int] = mapped_column(default=0)
    failed: Mapped[int] = mapped_column(default=0)
    note: Mapped[str] = mapped_column(Text, default="")
    made_by: Mapped[str]
    made_at: Mapped[Big]
    begun_at: Mapped[Big | None]
    ended_at: Mapped[Big | None]

    prompt_set: Mapped[PromptSetRow] = relationship(lazy="joined", innerjoin=True)


class DecisionRow(Base):
    """What a person decided on a candidate and what it was before, so that it can be undone."""

    __tablename__ = "decisions"
    id: Mapped[int] = mapped_column(primary_key=True)
    candidate_id: Mapped[int] = mapped_column(ForeignKey("candidates.id"), index=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id"), index=True)
    at: Mapped[Big]
    state: Mapped[str] = mapped_column(String(16))
    before: Mapped[dict[str, Any]] = mapped_column(JSON)
    undone_at: Mapped[Big | None]

    candidate: Mapped[CandidateRow] = relationship(lazy="joined", innerjoin=True)


class CommentRow(Base):
    """What a person said of a candidate."""

    __tablename__ = "comments"
    id: Mapped[int] = mapped_column(primary_key=True)
    candidate_id: Mapped[int] = mapped_column(ForeignKey("candidates.id"), index=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id"))
    at: Mapped[Big]
    text: Mapped[str] = mapped_column(Text)

    account: Mapped[AccountRow] = relationship(lazy="joined", innerjoin=True)


class SampleRow(Base):
    """The evidence of a bulk approval: what was asked, which were drawn to be looked at, and how
    many went with them."""

    __tablename__ = "bulk_samples"
    id: Mapped[int] = mapped_column(primary_key=True)
    set_id: Mapped[int] = mapped_column(ForeignKey("prompt_sets.id"))
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id"))
    at: Mapped[Big]
    least_score: Mapped[float]
    most_delta_e: Mapped[float]
    candidates: Mapped[list[int]] = mapped_column(JSON)
    closed_at: Mapped[Big | None]
    approved: Mapped[list[int]] = mapped_column(JSON)


class PublicationRow(Base):
    """What went live at once: the candidate of each asset (by its id, as text) after and before,
    None where there was none, so that it can be rolled back; ``assets`` of them.

    A canary began in ``region`` and is ``everywhere_at`` some time, or not yet.
    """

    __tablename__ = "publications"
    id: Mapped[int] = mapped_column(primary_key=True)
    property: Mapped[str] = mapped_column(ForeignKey("properties.id"))
    set_id: Mapped[int | None] = mapped_column(ForeignKey("prompt_sets.id"))
    made_by: Mapped[str]
    made_at: Mapped[Big]
    assets: Mapped[int] = mapped_column(server_default="0")
    after: Mapped[dict[str, Any]] = mapped_column(JSON)
    before: Mapped[dict[str, Any]] = mapped_column(JSON)
    rolled_back_at: Mapped[Big | None]
    region: Mapped[str] = mapped_column(String(40), server_default="")
    everywhere_at: Mapped[Big | None]

    @builtins.property
    def is_canary(self) -> bool:
        return bool(self.region) and self.everywhere_at is None and self.rolled_back_at is None
