"""What the API takes and gives: JSON in and out, errors as problem+json."""

from typing import Annotated, Any, Literal

from fastapi import Query
from pydantic import BaseModel, Field

from origin.console.confirming import Change
from origin.console.decisions import LEAST_SAMPLE, MOST_COMMENT, Evidence, Sample
from origin.console.jobs import MOST_SEEDS
from origin.console.meanings import shares, why_doubted
from origin.console.prompt_sets.reading import MAX_BYTES
from origin.console.queue import one_line
from origin.console.sets import Preview
from origin.console.showing import Live
from origin.console.tables import CommentRow, JobRow, PublicationRow
from origin.tables import CandidateRow

SHOWN = 1_000
Json = dict[str, Any]
Id = Annotated[int, Field(ge=1, le=2**31 - 1)]
Number = Annotated[int, Query(ge=1, le=1_000_000)]

PROBLEMS: dict[int | str, dict[str, Any]] = {
    code: {"description": what, "content": {"application/problem+json": {}}}
    for code, what in (
        (401, "Not logged in"),
        (403, "Not allowed"),
        (404, "Not here"),
        (422, "Cannot be done as asked"),
    )
}
"""How errors are described to programs, for every route of the API."""


class Upload(BaseModel):
    """A prompt set as text: CSV, JSON lines, or one recipe a line, told by the name's ending."""

    name: str = Field("pasted text", max_length=120)
    text: str = Field(max_length=MAX_BYTES)


class Generate(BaseModel):
    seeds: int = Field(8, ge=1, le=MOST_SEEDS)
    least_score: float = Field(80.0, ge=0, le=100)


class Verdict(BaseModel):
    verdict: Literal["approved", "rejected", "proposed"]
    reason: str = Field("", max_length=200)


class Comment(BaseModel):
    text: str = Field(min_length=1, max_length=MOST_COMMENT)


class Draw(BaseModel):
    """A sample of those of a set at or above a score whose worst colour is within a ΔE."""

    least_score: float = Field(85.0, ge=0, le=100)
    most_delta_e: float = Field(2.5, ge=0, le=100)
    count: int = Field(10, ge=LEAST_SAMPLE, le=1_000)


class Revoke(BaseModel):
    """One of ``path`` (or pattern) and ``family``."""

    path: str = Field("", max_length=1_000)
    family: str = Field("", max_length=40)
    reason: str = Field(max_length=500)


class Urls(BaseModel):
    urls: list[Annotated[str, Field(max_length=4_000)]] = Field(min_length=1, max_length=200)


class NewFamily(BaseModel):
    """The originals whose names are like ``pattern``: ``samba_{lace}_{sole}.jpg``."""

    name: str = Field(max_length=40)
    pattern: str = Field(max_length=500)


class NewProperty(BaseModel):
    """What is not said here is as the property ``like`` has it."""

    id: str = Field(max_length=40)
    hosts: list[str] = Field(min_length=1, max_length=100)
    like: str = Field(max_length=40)
    significant: list[str] = Field([], max_length=100)
    refused: list[str] = Field([], max_length=100)
    rendition: dict[str, str] = Field({}, max_length=100)


def previewed(found: Preview) -> Json:
    wrong = [{"line": one.number, "text": one.text, "why": one.why} for one in found.wrong]
    counts = {verdict: found.count(verdict) for verdict in ("new", "changed", "known")}
    return {**counts, "wrong": len(wrong), "wrong_rows": wrong[:SHOWN]}


def job_json(row: JobRow) -> Json:
    return {
        "id": row.id,
        "set": row.set_id,
        "state": row.state,
        "total": row.total,
        "done": row.done,
        "failed": row.failed,
        "note": row.note,
    }


def candidate_json(row: CandidateRow) -> Json:
    return {
        "id": row.id,
        "path": row.asset.path,
        "family": row.asset.family,
        "attributes": row.asset.attributes,
        "recipe": one_line(row),
        "state": row.state,
        "reason": row.reason,
        "ssimulacra2": row.ssimulacra2,
        "delta_e": row.delta_e,
        "region_delta_e": row.region_delta_e,
        "worst_delta_e": row.worst_delta_e,
        "doubt": max(shares(row).values()),
        "doubted_for": why_doubted(row),
        "psnr": row.psnr if row.psnr < 1_000 else None,
        "decided_by": row.approver.name if row.approver else None,
        "decided_at": row.decided_at,
    }


def comment_json(row: CommentRow) -> Json:
    return {"id": row.id, "by": row.account.name, "at": row.at, "text": row.text}


def sample_json(sample: Sample) -> Json:
    return {
        "id": sample.row.id,
        "least_score": sample.row.least_score,
        "most_delta_e": sample.row.most_delta_e,
        "candidates": [candidate_json(one) for one in sample.candidates],
        "waiting": sample.waiting,
        "passed": sample.passed,
        "closed_at": sample.row.closed_at,
    }


def evidence_json(one: Evidence) -> Json:
    return {
        "by": one.by,
        "drawn_at": one.at,
        "closed_at": one.closed_at,
        "least_score": one.least_score,
        "most_delta_e": one.most_delta_e,
        "looked_at": list(one.looked_at),
        "approved": one.approved,
    }


def live_json(row: Live) -> Json:
    return {
        "path": row.path,
        "family": row.family,
        "seq": row.seq,
        "kind": row.kind,
        "candidate": row.candidate_id,
        "since": row.made_at,
    }


def publication_json(row: PublicationRow) -> Json:
    return {
        "id": row.id,
        "set": row.set_id,
        "by": row.made_by,
        "at": row.made_at,
        "assets": row.assets,
        "region": row.region or None,
        "canary": row.is_canary,
        "everywhere_at": row.everywhere_at,
        "rolled_back_at": row.rolled_back_at,
    }


def change_json(found: Change) -> Json:
    """What each region says of an entry of the log."""
    return {
        "seq": found.seq,
        "kind": found.kind,
        "done": found.done,
        "regions": [
            {"region": one.region, "confirmed": one.confirmed, "detail": one.detail}
            for one in found.regions
        ],
        "may_be_served_until": found.until.isoformat() if found.until else None,
    }
