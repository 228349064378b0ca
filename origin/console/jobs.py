"""Jobs: a durable queue (huey on SQLite) whose worker makes candidates, one row at a time.

The queue holds a job's number only. How far it is stands in the database, so that a worker that
was killed, or a machine that was switched off, goes on where it was.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from huey import SqliteHuey
from sqlalchemy import func, select, update

from kvsync.errors import InputError
from origin.console.accounts import Person
from origin.console.desk import Desk, NotHere
from origin.console.sets import find_set
from origin.console.tables import ENDED, JobRow, JobState, PromptRow
from origin.qa import audit

Step = Literal["pause", "resume", "cancel"]
_STEPS: dict[Step, tuple[tuple[JobState, ...], JobState]] = {
    "pause": (("queued", "running"), "paused"),
    "resume": (("paused",), "queued"),
    "cancel": (("queued", "running", "paused"), "cancelled"),
}
MOST_SEEDS = 256


def open_queue(folder: Path) -> SqliteHuey:
    """The queue that both the console and its worker open."""
    return SqliteHuey("console", filename=str(folder / "jobs.db"), results=False, utc=True)


@dataclass(frozen=True)
class Jobs:
    """Jobs as the pages see them; ``ask`` puts a job's number where a worker waits for it."""

    desk: Desk
    ask: Callable[[int], object]

    def start(self, set_id: int, seeds: int, least: float, person: Person) -> int:
        """Ask for candidates of every row of a set that has none yet; the job's number."""
        if not 1 <= seeds <= MOST_SEEDS or not 0 <= least <= 100:
            raise InputError(f"try 1 to {MOST_SEEDS} seeds, with a least score from 0 to 100")
        with self.desk.database.writing() as session:
            find_set(session, set_id)
            running = select(JobRow.id).where(JobRow.set_id == set_id, JobRow.state.not_in(ENDED))
            if (other := session.scalars(running).first()) is not None:
                raise InputError(f"job {other} is at work on this set; cancel it first")
            session.execute(
                update(PromptRow)
                .where(PromptRow.set_id == set_id, PromptRow.state == "failed")
                .values(state="waiting", reason="")
            )
            waiting = select(func.count()).where(
                PromptRow.set_id == set_id, PromptRow.state == "waiting"
            )
            total = session.scalar(waiting) or 0
            if not total:
                raise InputError("every row of this set has its candidates already")
            job = JobRow(
                set_id=set_id,
                state="queued",
                seeds=seeds,
                min_score=least,
                total=total,
                made_by=person.name,
                made_at=int(time.time()),
            )
            session.add(job)
            session.flush()
            audit(session, person.name, "generate", f"set {set_id}", job=job.id, seeds=seeds)
        self.ask(job.id)
        return job.id

    def steer(self, job_id: int, step: Step, person: Person) -> JobRow:
        """Pause, resume or cancel; :class:`InputError` where that is not possible now."""
        allowed, after = _STEPS[step]
        with self.desk.database.writing() as session:
            job = session.get(JobRow, job_id)
            if job is None:
                raise NotHere(f"there is no job {job_id}")
            if job.state not in allowed:
                raise InputError(f"job {job_id} is {job.state}: it cannot {step}")
            job.state = after
            if after == "cancelled":
                job.ended_at = int(time.time())
            audit(session, person.name, f"{step} job", f"set {job.set_id}", job=job.id)
        if step == "resume":
            self.ask(job_id)
        return job

    def find(self, job_id: int) -> JobRow:
        with self.desk.database.reading() as session:
            job = session.get(JobRow, job_id)
        if job is None:
            raise NotHere(f"there is no job {job_id}")
        return job

    def of_set(self, set_id: int) -> Sequence[JobRow]:
        """A set's jobs, the newest first."""
        query = select(JobRow).where(JobRow.set_id == set_id).order_by(JobRow.id.desc())
        with self.desk.database.reading() as session:
            return session.scalars(query).all()


def task_of(queue: SqliteHuey, run: Callable[[int], None]) -> Callable[[int], None]:
    """The queue's one task, named alike on both sides; calling it puts a job's number in.

    Only the worker's ``run`` is ever called. Putting a number in twice does no harm.
    """

    def work(job_id: int) -> None:
        run(job_id)

    task: Callable[[int], None] = queue.task(name="work")(work)
    return task


def not_here(job_id: int) -> None:
    """What the console itself does with a job: nothing."""
    raise RuntimeError(f"job {job_id} is for the worker")
