"""A database as a console has after months of work, put in through the product's own tables."""

import random
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import msgspec
from sqlalchemy import insert, update
from sqlalchemy.orm import Session

from kvsync.key import read_request
from kvsync.record import PromptRecipe
from origin.console.accounts import Person
from origin.console.desk import Desk
from origin.console.tables import (
    CommentRow,
    DecisionRow,
    JobRow,
    PromptRow,
    PromptSetRow,
    PublicationRow,
    SampleRow,
)
from origin.tables import AssetRow, AuditRow, CandidateRow, LogEntryRow, PropertyRow, RecordRow

FAMILIES = ("rumba", "samba")
SETS = 10
PUBLICATIONS = 20
_STATES = ("proposed", "approved", "rejected", "short", "spare")
_SHARES = (50, 25, 10, 10, 5)
_AT_ONCE = 5_000


@dataclass(frozen=True)
class Filling:
    """What goes in: two candidates an asset, one prompt a candidate."""

    desk: Desk
    person: Person
    site: str
    candidates: int
    model: bytes

    @property
    def assets(self) -> int:
        return self.candidates // 2

    def fill(self) -> None:
        """Write everything in one transaction."""
        with self.desk.database.writing() as session:
            _put(session, AssetRow, self._assets())
            _put(session, CandidateRow, self._candidates())
            _put(session, PromptSetRow, self._sets())
            _put(session, PromptRow, self._prompts())
            _put(session, JobRow, self._jobs())
            _put(session, SampleRow, self._samples())
            _put(session, DecisionRow, self._decisions())
            _put(session, CommentRow, self._comments())
            _put(session, LogEntryRow, self._entries())
            _put(session, RecordRow, self._records())
            _put(session, PublicationRow, self._publications())
            _put(session, AuditRow, self._audit())
            session.execute(
                update(PropertyRow)
                .where(PropertyRow.id == self.site)
                .values(seq=SEQ + len(self._live()))
            )

    def _assets(self) -> Iterator[dict[str, Any]]:
        rules = self.desk.site(self.site).rules
        for number in range(1, self.assets + 1):
            path = f"/{self.site}/bench/{number:06}.jpg"
            yield {
                "id": number,
                "property": self.site,
                "path": path,
                "key": read_request(rules, path.encode()).key,
                "family": self._family(number),
                "validator": f'"{number:032x}"',
                "digest": number.to_bytes(32, "big"),
                "media_type": "image/jpeg",
                "size": 50_000,
                "attributes": {"lace": f"lace{number % 50}", "sole": f"sole{number // 50 % 50}"},
            }

    def _candidates(self) -> Iterator[dict[str, Any]]:
        chance = random.Random(7)
        for number in range(1, self.candidates + 1):
            asset = self._asset_of(number)
            recipe = PromptRecipe(self.model, f"shoe {asset}", number, 768, 768)
            state = self._state(number)
            decided = state in ("approved", "rejected")
            colours = {"lace": chance.random() * 3, "sole": chance.random() * 3}
            yield {
                "id": number,
                "asset_id": asset,
                "property": self.site,
                "family": self._family(asset),
                "path": f"/{self.site}/bench/{asset:06}.jpg",
                "original": asset.to_bytes(32, "big"),
                "model": self.model,
                "recipe": msgspec.msgpack.encode(recipe),
                "algorithm": "bench",
                "fingerprint": bytes(100),
                "ssimulacra2": chance.triangular(70, 97, 90),
                "delta_e": chance.triangular(0.1, 4, 0.8),
                "region_delta_e": colours,
                "worst_delta_e": max(colours.values()),
                "psnr": 38.0,
                "seeds_tried": 8,
                "state": state,
                "reason": "wrong colour" if state == "rejected" else "",
                "decided_by": self.person.approver_id if decided else None,
                "decided_at": int(time.time()) if decided else None,
                "made_at": int(time.time()),
            }

    def _sets(self) -> Iterator[dict[str, Any]]:
        for number in range(1, SETS + 1):
            yield {
                "id": number,
                "property": self.site,
                "family": FAMILIES[0],
                "model": self.model,
                "name": f"Bench {number}",
                "made_by": self.person.name,
                "made_at": int(time.time()),
            }

    def _prompts(self) -> Iterator[dict[str, Any]]:
        for number in range(1, self.candidates + 1):
            asset = self._asset_of(number)
            yield {
                "set_id": 1 + (number - 1) * SETS // self.candidates,
                "line": number,
                "path": f"/{self.site}/bench/{asset:06}.jpg",
                "prompt": f"shoe {asset}",
                "attributes": {"lace": f"lace{asset % 50}"},
                "seed": number,
                "width": 768,
                "height": 768,
                "steps": 1,
                "sampler": "Euler",
                "guidance": 1.0,
                "state": "done",
                "reason": "",
                "candidate_id": number,
            }

    def _jobs(self) -> Iterator[dict[str, Any]]:
        for number in range(1, SETS + 1):
            yield {
                "set_id": number,
                "state": "done",
                "seeds": 8,
                "min_score": 80.0,
                "total": self.candidates // SETS,
                "done": self.candidates // SETS,
                "failed": 0,
                "note": "",
                "made_by": self.person.name,
                "made_at": int(time.time()),
            }

    def _samples(self) -> Iterator[dict[str, Any]]:
        for number in range(1, SETS + 1):
            first, size = 1 + (number - 1) * self.candidates // SETS, self.candidates // SETS
            # One was used, another waits to be looked at.
            for approved in (list(range(first, first + size // 4)), []):
                yield {
                    "set_id": number,
                    "account_id": self.person.account_id,
                    "at": int(time.time()),
                    "least_score": 85.0,
                    "most_delta_e": 2.5,
                    "candidates": list(range(first, first + 20)),
                    "closed_at": int(time.time()) if approved else None,
                    "approved": approved,
                }

    def _decisions(self) -> Iterator[dict[str, Any]]:
        for number in range(1, self.candidates + 1):
            if (state := self._state(number)) in ("approved", "rejected"):
                yield {
                    "candidate_id": number,
                    "account_id": self.person.account_id,
                    "at": int(time.time()),
                    "state": state,
                    "before": {"state": "proposed", "reason": "", "by": "", "at": None},
                }

    def _comments(self) -> Iterator[dict[str, Any]]:
        for number in range(1, self.candidates + 1, 20):
            yield {
                "candidate_id": number,
                "account_id": self.person.account_id,
                "at": int(time.time()),
                "text": "Look at the tongue.",
            }

    def _entries(self) -> Iterator[dict[str, Any]]:
        for seq in range(len(self._live())):
            yield {
                "property": self.site,
                "seq": SEQ + seq,
                "tag": "put",
                "key": seq.to_bytes(16, "big"),
                "content": bytes(480),
            }

    def _records(self) -> Iterator[dict[str, Any]]:
        for seq, number in enumerate(self._live()):
            yield {
                "property": self.site,
                "seq": SEQ + seq,
                "asset_id": self._asset_of(number),
                "candidate_id": number,
                "kind": "record",
                "made_at": int(time.time()),
                "delivered_at": int(time.time()),
                "ended_at": None,
            }

    def _publications(self) -> Iterator[dict[str, Any]]:
        live = self._live()
        for number in range(PUBLICATIONS):
            after = {str(self._asset_of(one)): one for one in live[number::PUBLICATIONS]}
            yield {
                "property": self.site,
                "set_id": None,
                "made_by": self.person.name,
                "made_at": int(time.time()),
                "assets": len(after),
                "after": after,
                "before": dict.fromkeys(after),
            }

    def _audit(self) -> Iterator[dict[str, Any]]:
        for number in range(self.candidates):
            yield {
                "at": int(time.time()),
                "who": self.person.name if number % 7 else "somebody else",
                "what": "approve" if number % 3 else "reject",
                "subject": f"/{self.site}/bench/{number:06}.jpg",
                "detail": {"from": "proposed", "to": "approved", "candidate": number},
            }

    def _live(self) -> list[int]:
        """Candidates whose record is live: the first of every second asset, where approved."""
        firsts = range(1, self.candidates + 1, 4)
        return [number for number in firsts if self._state(number) == "approved"]

    def _family(self, asset: int) -> str:
        return FAMILIES[asset % 5 == 0]

    @staticmethod
    def _asset_of(number: int) -> int:
        return (number + 1) // 2

    @staticmethod
    def _state(number: int) -> str:
        return random.Random(number).choices(_STATES, _SHARES)[0]


# Past what announcing the model and the property's settings took.
SEQ = 1_000


def _put(session: Session, table: type[Any], rows: Iterable[dict[str, Any]]) -> None:
    rest = iter(rows)
    while some := list(islice(rest, _AT_ONCE)):
        session.execute(insert(table), some)
