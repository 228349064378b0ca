"""What our own ledger says of each asset: the largest of a property and region, day by day.

The ledger names the hundred assets that hauled most in a region's day, so this is what a family
costs at least, and says what share of all hauls that is; a log tells all of it. Of requests that
caches answered it names no asset.
"""

import time
from datetime import UTC, datetime

from sqlalchemy import func, select

from origin.analysis.traffic import Demand, Traffic
from origin.database import Database
from origin.ledger.tables import CROSSED, DAY_S, USAGE

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
    hauled = select(func.sum(USAGE.c.hauled_bytes)).where(
        USAGE.c.span_s == DAY_S, USAGE.c.property == property, USAGE.c.start >= since
    )
    with database.reading() as session:
        rows = session.execute(query).all()
        every = int(session.scalar(hauled) or 0)
    named = sum(int(row[3]) for row in rows)
    traffic = Traffic(said=[_said(property, len(rows), named, every)])
    for asset, region, misses, sent, _, _ in rows:
        traffic.demand.append(Demand(asset, region, int(misses), int(sent), int(misses), int(sent)))
    if rows:
        traffic.first = datetime.fromtimestamp(min(row[4] for row in rows), UTC).date()
        traffic.last = datetime.fromtimestamp(max(row[5] for row in rows), UTC).date()
    return traffic


def _said(property: str, assets: int, named: int, every: int) -> str:
    if not every:
        return f"ledger: nothing was hauled for {property} in {DAYS} days"
    share = min(1.0, named / every)
    return (
        f"ledger: {assets:,} assets and regions of {property} are named, with {share:.0%} of all "
        f"{every / 1e6:,.1f} MB that were hauled in {DAYS} days; what is told of them is at least "
        "so much, and requests are only those that missed"
    )
