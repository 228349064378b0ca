"""``POST /v1/ledger/{region}``: what a region counted, from whoever has its token."""

import time

import msgspec
from fastapi import FastAPI, Request, Response
from starlette.concurrency import run_in_threadpool

from kvsync.errors import Forbidden
from kvsync.ledger import LEDGER_PATH, MAX_LEDGER_BYTES, decode_minutes
from kvsync.wire import read_body
from origin.ledger.intake import Ledger
from origin.sync.routes import speaking_region
from origin.sync.service import LogService


def add_ledger_routes(app: FastAPI, ledger: Ledger, log: LogService) -> None:
    @app.post(LEDGER_PATH + "/{region}")
    async def take(request: Request, region: str) -> Response:
        """Answers with a :class:`origin.ledger.intake.Taken` in JSON once all of it is kept."""
        speaker = speaking_region(request, log)
        if speaker != region:
            raise Forbidden(f"region {speaker} cannot speak for {region[:40]}")
        minutes = decode_minutes(await read_body(request.stream(), MAX_LEDGER_BYTES))
        serves = log.tokens.regions()[region].properties
        taken = await run_in_threadpool(ledger.take, region, serves, minutes, time.time())
        return Response(msgspec.json.encode(taken), media_type="application/json")
