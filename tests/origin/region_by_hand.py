"""What a region does towards the origin, done by hand in tests."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx2

from kvsync.log import Batch, Cursor, Entry, Heartbeat, Skipped
from kvsync.log_answer import LogAnswer
from kvsync.report import PropertyReport, RegionReport, ReportAnswer
from kvsync.signing import Keyring
from origin.workplace import Workplace


class Region:
    """What a region does towards the origin, by hand."""

    def __init__(self, place: Workplace, web: httpx2.Client, name: str, token: str) -> None:
        self.name = name
        self.keys = Keyring((place.key.trusted_for(["rumba"]),))
        self.web = web
        self.authorization = {"authorization": f"Bearer {token}"}
        self.cursor = Cursor()
        self.entries: list[Entry | Skipped] = []
        self.compared = 0
        self.asked: dict[str, int] = {}

    def get(self, path: str, **parameters: float) -> httpx2.Response:
        return self.web.get(path, params=parameters, headers=self.authorization)

    def await_log(self) -> None:
        """Wait until an origin that has just started has its log."""
        deadline = time.monotonic() + 60
        while self.get("/v1/log/rumba").status_code == 503 and time.monotonic() < deadline:
            time.sleep(0.02)

    def follow(self, wait_s: float = 0) -> Heartbeat:
        """Apply what the log has; its heartbeat."""
        answer = self.get("/v1/log/rumba", after=self.cursor.seq, wait_s=wait_s)
        assert answer.status_code == 200, answer.text
        log = LogAnswer.decode(answer.content)
        for signed in log.batches:
            batch = Batch.from_signed(signed, self.keys, property="rumba", after=self.cursor)
            self.entries += batch.entries
            self.cursor = batch.cursor
        return Heartbeat.from_signed(log.heartbeat, self.keys, property="rumba")

    def report(self, **said: object) -> httpx2.Response:
        at = self.cursor.seq
        state = {"seq": at, "readable_seq": at, "purged_seq": at, "records": 4, **said}
        one = PropertyReport(**state, compared_request=self.compared)  # type: ignore[arg-type]
        body = RegionReport(self.name, int(time.time() * 1_000), {"rumba": one}).encode()
        answer = self.web.post(
            f"/v1/regions/{self.name}/report", content=body, headers=self.authorization
        )
        if answer.status_code == 200:
            self.asked = ReportAnswer.decode(answer.content).compare
        return answer

    @contextmanager
    def living(self, **said: object) -> Iterator[None]:
        """Follow and report in a thread until the block ends."""
        ended = threading.Event()

        def live() -> None:
            while not ended.is_set():
                self.follow(wait_s=0.05)
                self.report(**said)
                self.compared = self.asked.get("rumba", 0)

        thread = threading.Thread(target=live)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()


def followed(region: Region, count: int) -> None:
    """Follow until so many entries came."""
    deadline = time.monotonic() + 60
    while len(region.entries) < count and time.monotonic() < deadline:
        region.follow(wait_s=1)
    assert len(region.entries) == count
