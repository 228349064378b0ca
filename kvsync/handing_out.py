"""``GET`` and ``POST /v1/ledger`` of whoever counts: its unconfirmed minutes, and which to drop."""

from starlette.requests import Request
from starlette.responses import Response

from kvsync.ledger import MAX_LEDGER_BYTES, decode_names, encode_minutes
from kvsync.spool import Spool
from kvsync.wire import MSGPACK, read_body

# At once, of what the origin takes in one message.
HANDED_OUT_BYTES = MAX_LEDGER_BYTES // 2


def hand_out(spool: Spool) -> Response:
    """The oldest minutes in the spool, in msgpack; an empty list when there are none."""
    return Response(encode_minutes(spool.oldest(HANDED_OUT_BYTES)), media_type=MSGPACK)


async def confirm(spool: Spool, request: Request) -> int:
    """Drop the minutes that the body names; how many there were. Raises
    :class:`kvsync.errors.BadRequest`."""
    return spool.confirm(decode_names(await read_body(request.stream(), MAX_LEDGER_BYTES)))
