"""What an agent answers over HTTP: its health, its metrics, and heartbeats for other regions."""

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kvsync.agent.agent import Agent
from kvsync.agent.source import HEARTBEAT_PATH
from kvsync.errors import NotReplicated
from kvsync.replica import REPLICA_PATH
from kvsync.wire import BYTES, MSGPACK, ErrorBody

JSON = "application/json"


def create_app(agent: Agent) -> Starlette:
    async def healthz(request: Request) -> Response:
        return _json({"region": agent.settings.region})

    async def readyz(request: Request) -> Response:
        properties = {
            name: {
                "ready": one.ready,
                "seq": one.held.cursor.seq,
                "readable_seq": one.held.readable_seq,
                "renewed_at_ms": one.renewal.at_ms,
            }
            for name, one in agent.followers.items()
        }
        body = {"ready": agent.ready, "properties": properties}
        return _json(body, 200 if agent.ready else 503)

    async def metrics(request: Request) -> Response:
        return Response(agent.exposition(), media_type="text/plain; version=0.0.4")

    async def heartbeat(request: Request) -> Response:
        follower = agent.followers.get(request.path_params["property"])
        if follower is None or not follower.renewal.signed:
            return _json(ErrorBody("unknown", "no heartbeat of that property here"), 404)
        return Response(follower.renewal.signed, media_type=MSGPACK)

    async def original(request: Request) -> Response:
        replica = agent.replicas.get(request.path_params["property"])
        found = None if replica is None else await replica.read(_digest(request))
        if found is None:
            return _json(ErrorBody(NotReplicated.reason, "no such original here"), 404)
        return Response(found, media_type=BYTES)

    return Starlette(
        routes=[
            Route(REPLICA_PATH + "/{property}/{digest}", original),
            Route("/healthz", healthz),
            Route("/readyz", readyz),
            Route("/metrics", metrics),
            Route(HEARTBEAT_PATH + "/{property}", heartbeat),
        ]
    )


def _digest(request: Request) -> bytes:
    """What the path names; nothing is kept under what is no digest."""
    try:
        return bytes.fromhex(request.path_params["digest"])
    except ValueError:
        return b""


def _json(body: object, status: int = 200) -> Response:
    return Response(msgspec.json.encode(body), status, media_type=JSON)
