"""The worker's process: takes jobs from the queue and makes candidates, until told to stop.

What draws is imported with the first job: torch takes seconds to start and much memory to keep.
"""

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import select, update

from kvsync.errors import RehydrationError
from origin.console.at_work import at_work
from origin.console.decoding import Decoding
from origin.console.desk import Desk
from origin.console.jobs import open_queue, task_of
from origin.console.pictures import open_pictures
from origin.console.tables import JobRow, PromptRow, PromptSetRow
from origin.ledger.own_work import OwnWork

if TYPE_CHECKING:
    from origin.console.proposing import Tools
    from regional_gpu.generator.load import Generator

log = logging.getLogger("worker")


def work(desk: Desk) -> None:
    """Serve the queue; jobs that were cut off in the middle are taken up again first.

    :class:`kvsync.errors.InputError` while another worker does.
    """
    queue = open_queue(desk.settings.folder)
    models = LoadedModels(desk)
    with at_work(desk.settings.folder):
        _take_up(desk, task_of(queue, lambda job_id: run(desk, models, job_id)))
        queue.create_consumer(workers=1, periodic=False, initial_delay=0.05, max_delay=0.5).run()


def run(desk: Desk, models: "LoadedModels", job_id: int) -> None:
    """Make a job's candidates until none waits or a person says stop.

    A row that fails says why and the others go on; anything unforeseen ends the job as failed.
    """
    with desk.database.writing() as session:
        job = session.get(JobRow, job_id)
        if job is None or job.state not in ("queued", "running"):
            return
        job.state, job.begun_at = "running", job.begun_at or int(time.time())
        chosen = job.prompt_set
    from origin.console.proposing import Tools

    try:
        with OwnWork(desk.database, chosen.property, chosen.family) as own:
            generator = models.load(chosen.model)
            with Decoding() as decoding:
                tools = Tools(generator, decoding.decode, open_pictures(desk.settings))
                while (row := _next(desk, job_id, chosen)) is not None:
                    _do(desk, tools, chosen, row, job)
                    own.made(1 if row.seed is not None else job.seeds)
    except Exception as error:
        _end(desk, job_id, "failed", f"{type(error).__name__}: {error}")
        raise


def _next(desk: Desk, job_id: int, chosen: PromptSetRow) -> PromptRow | None:
    """The first row that waits, unless a person stopped the job; with none left it is done."""
    waiting = (
        select(PromptRow)
        .where(PromptRow.set_id == chosen.id, PromptRow.state == "waiting")
        .order_by(PromptRow.line, PromptRow.id)
        .limit(1)
    )
    with desk.database.reading() as session:
        job = session.get_one(JobRow, job_id)
        row = session.scalars(waiting).one_or_none()
    if job.state != "running":
        return None
    if row is None:
        _end(desk, job_id, "done", "")
    return row


def _do(desk: Desk, tools: "Tools", chosen: PromptSetRow, row: PromptRow, job: JobRow) -> None:
    from origin.console.proposing import propose

    candidate, reason = None, ""
    try:
        candidate = propose(desk, tools, chosen, row, job.seeds, job.min_score)
    except RehydrationError as error:
        reason = str(error)
    with desk.database.writing() as session:
        session.execute(
            update(PromptRow)
            .where(PromptRow.id == row.id)
            .values(state="failed" if reason else "done", reason=reason, candidate_id=candidate)
        )
        session.execute(
            update(JobRow)
            .where(JobRow.id == job.id)
            .values(done=JobRow.done + 1, failed=JobRow.failed + bool(reason))
        )


def _end(desk: Desk, job_id: int, state: str, note: str) -> None:
    with desk.database.writing() as session:
        session.execute(
            update(JobRow)
            .where(JobRow.id == job_id, JobRow.state == "running")
            .values(state=state, note=note, ended_at=int(time.time()))
        )


def _take_up(desk: Desk, ask: Callable[[int], object]) -> None:
    with desk.database.reading() as session:
        cut_off = session.scalars(select(JobRow.id).where(JobRow.state == "running")).all()
    for job_id in cut_off:
        log.info("job %d was cut off: it goes on", job_id)
        ask(job_id)


class LoadedModels:
    """The model of the last job stays in memory for the next."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._loaded: tuple[Path, Generator] | None = None

    def load(self, digest: bytes) -> "Generator":
        from regional_gpu.generator.load import load

        folder = self._desk.models.folder_of(digest)
        if self._loaded is None or self._loaded[0] != folder:
            self._loaded = folder, load(folder, expect=digest)
        return self._loaded[1]
