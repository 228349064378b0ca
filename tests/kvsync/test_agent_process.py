"""``python -m kvsync`` steps back behind edges, ends when it is told to, and keeps what it had
counted."""

import asyncio
import os
import signal
import sys
from pathlib import Path

from kvsync.ledger import Carried
from kvsync.spool import Spool
from tests.kvsync.conftest import Trust

HOST = "127.0.0.1"
NOTHING = b"HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\nconnection: close\r\n\r\nno"


async def test_it_steps_back_and_what_it_counted_outlives_sigterm(
    trust: Trust, tmp_path: Path, url: str
) -> None:
    asked: list[bytes] = []
    asked_again = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append((await reader.readuntil(b"\r\n\r\n")).partition(b"?")[0])
        # Whoever asks for the log once more has read, and counted, what was answered before.
        if asked.count(b"GET /v1/log/shop") > 1:
            asked_again.set()
        writer.write(NOTHING)
        await writer.drain()
        writer.close()

    origin = await asyncio.start_server(answer, HOST, 0)
    trust.ring.write(tmp_path / "keys.json")
    told = {
        "SYNC_PORT": "0",
        "SYNC_PROPERTIES": "shop",
        "SYNC_TRUSTED_KEYS": str(tmp_path / "keys.json"),
        "SYNC_ORIGIN_URL": f"http://{HOST}:{origin.sockets[0].getsockname()[1]}",
        "SYNC_STORE_URL": url,
        "SYNC_LEDGER_DIR": str(tmp_path / "ledger"),
        "SYNC_NICE": "1",
    }
    agent = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "kvsync", env={**os.environ, **told}, stderr=asyncio.subprocess.PIPE
    )
    await asyncio.wait_for(asked_again.wait(), 60)
    own = os.getpriority(os.PRIO_PROCESS, 0)
    assert os.getpriority(os.PRIO_PROCESS, agent.pid) == min(own + 1, 19)
    agent.send_signal(signal.SIGTERM)
    _, said = await asyncio.wait_for(agent.communicate(), 60)
    origin.close()
    assert agent.returncode == 0 and b"Traceback" not in said
    rows = [
        row for minute in Spool(tmp_path / "ledger", 3_600.0).oldest(1 << 20) for row in minute.rows
    ]
    assert any(isinstance(row, Carried) and row.carried_bytes >= len(NOTHING) - 20 for row in rows)
