"""The audit: who did what, when, to which asset."""

from collections.abc import Iterator
from typing import Any

import msgspec
from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse
from sqlalchemy import Select, select

from origin.console.desk import Desk
from origin.console.rendering import page
from origin.tables import AuditRow

PAGE = 100


def routes(desk: Desk) -> APIRouter:
    router = APIRouter(include_in_schema=False)

    @router.get("/audit")
    def audit_page(
        request: Request, who: str = "", what: str = "", subject: str = "", before: int = 0
    ) -> Response:
        rows = entries(desk, who, what, subject, before, PAGE)
        asked = {"who": who, "what": what, "subject": subject}
        return page(request, "audit.html", rows=rows, asked=asked, more=len(rows) == PAGE)

    @router.get("/audit.jsonl")
    def export_audit() -> Response:
        headers = {"content-disposition": 'attachment; filename="audit.jsonl"'}
        return StreamingResponse(_lines(desk), media_type="application/jsonl", headers=headers)

    return router


def entries(
    desk: Desk, who: str, what: str, subject: str, before: int, most: int
) -> list[AuditRow]:
    """The newest entries first, older than number ``before`` where it is not 0."""
    query: Select[Any] = select(AuditRow).order_by(AuditRow.id.desc()).limit(most)
    if who:
        query = query.where(AuditRow.who == who)
    if what:
        query = query.where(AuditRow.what == what)
    if subject:
        query = query.where(AuditRow.subject.contains(subject, autoescape=True))
    if before:
        query = query.where(AuditRow.id < before)
    with desk.database.reading() as session:
        return list(session.scalars(query))


def _lines(desk: Desk) -> Iterator[bytes]:
    """Every entry as a JSON line, the oldest first, a thousand at a time."""
    last = 0
    while True:
        query = select(AuditRow).where(AuditRow.id > last).order_by(AuditRow.id).limit(1_000)
        with desk.database.reading() as session:
            rows = session.scalars(query).all()
        if not rows:
            return
        for row in rows:
            yield msgspec.json.encode(as_json(row)) + b"\n"
        last = rows[-1].id


def as_json(row: AuditRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "at": row.at,
        "who": row.who,
        "what": row.what,
        "subject": row.subject,
        "detail": row.detail,
    }
