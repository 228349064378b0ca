"""What our own ledger says of each asset: the largest of a property and region, day by day.

The ledger names the hundred assets that hauled most in a region's day, so this is what a family
costs at least; a log tells all of it.
"""

import time
from datetime import UTC, datetime

from sqlalchemy import func, select

from origin.analysis.traffic import Demand, Traffic
from origin.database import Database
from origin.ledger.tables import CROSSED, DAY_S

DAYS = 30


def read_ledger(database: Database, property: str, now: float | None = None) -> Traffic:
    """Misses and their bytes by asset and region, of the last 30 days."""
    since = int(time.time() if now is None else now) - DAYS * DAY_S
    columns = CROSSED.c
    query = (
        select(
            columns.asset,
            columns.region,
            func.sum(columns.misses),
            func.sum(columns.middle_mile_bytes),
            func.min(columns.start),
            func.max(columns.start),
        )
        .where(columns.span_s == DAY_S, columns.property == property, columns.start >= since)
        .group_by(columns.asset, columns.region)
        .order_by(columns.asset, columns.region)
    )
    with database.reading() as session:
        rows = session.execute(query).all()
    traffic = Traffic()
    for asset, region, misses, sent, _, _ in rows:
        traffic.demand.append(Demand(asset, region, int(misses), int(sent), int(misses), int(sent)))
    if rows:
        traffic.first = datetime.fromtimestamp(min(row[4] for row in rows), UTC).date()
        traffic.last = datetime.fromtimestamp(max(row[5] for row in rows), UTC).date()
    return traffic
