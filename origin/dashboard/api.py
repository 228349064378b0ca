"""The dashboard's numbers for programs: every one of them, and the rows behind it."""

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, Field

from kvsync.errors import InputError
from origin.console.access import Asking
from origin.console.api.forms import PROBLEMS
from origin.dashboard import policy as policies
from origin.dashboard.asked import Asked, plain
from origin.dashboard.office import Office, asking
from origin.dashboard.rows import (
    PAGE,
    Picked,
    columns,
    only_those,
    page_of,
    span_named,
    sums_of,
    table_named,
)
from origin.dashboard.savings import by_family, earned, headline
from origin.dashboard.traffic import traffic
from origin.dashboard.view import all_figures, policies_of
from origin.dashboard.ways import forecasts
from origin.dashboard.what_if import what_if
from origin.economics.chosen_books import Chosen
from origin.economics.what_if import Change
from origin.ledger.reading import Only
from origin.sync.ways import ways_of

Json = dict[str, Any]


class ChosenPolicy(BaseModel):
    """A family's policy: always, economical or resilience."""

    policy: str = Field(max_length=20)


def routes(office: Office) -> APIRouter:
    router = APIRouter(prefix="/api/v1", responses=PROBLEMS)
    _add_money(router, office)
    _add_traffic(router, office)
    _add_ahead(router, office)
    _add_prices(router, office)
    return router


def _add_money(router: APIRouter, office: Office) -> None:
    about = Depends(asking(office))

    @router.get("/savings")
    def api_savings(asked: Asked = about) -> Json:
        """Net saving today, this month and since the start, each with the parts that add up to
        it, by currency; whatever the days asked for."""
        found = headline(office.reader, office.books(), asked)
        return {"asked": plain(asked), **msgspec.to_builtins(found)}

    @router.get("/savings/parts")
    def api_savings_parts(asked: Asked = about) -> Json:
        """Net saving of the days asked for: in all, by day (by month of more than 62 days), by
        property, region and family."""
        found = earned(office.reader, office.books(), asked)
        shares = {
            "all": found.all,
            "by_day": found.by_span(),
            "by_property": found.by_property(),
            "by_region": found.by_region(),
            "by_family": by_family(office.reader, found),
        }
        return {"asked": plain(asked), **msgspec.to_builtins(shares)}


def _add_traffic(router: APIRouter, office: Office) -> None:
    about = Depends(asking(office))

    which = Depends(only_those)

    @router.get("/figures")
    def api_figures(asked: Asked = about) -> Json:
        """Every number of the dashboard in one list."""
        found = all_figures(office, asked)
        return {"asked": plain(asked), "figures": msgspec.to_builtins(found)}

    @router.get("/traffic")
    def api_traffic(asked: Asked = about) -> Json:
        """Offload before and after, what holds the rest back, latency, machines and their cost per
        image, assets that still cross, anomalies."""
        found = traffic(office.reader, office.books(), asked)
        return {"asked": plain(asked), **msgspec.to_builtins(found)}

    @router.get("/ledger/{table}")
    def api_ledger_rows(
        table: str,
        asked: Asked = about,
        only: Only = which,
        span: Annotated[str, Query(max_length=10)] = "",
        skip: Annotated[int, Query(ge=0, le=2**31 - 1)] = 0,
    ) -> Json:
        """Stored rows: usage, answers, work, held, carried, kept, crossed or open; and what all
        of them add up to."""
        picked = Picked(table_named(table), span_named(span, asked), asked, only)
        names = columns(picked.table)
        rows = page_of(office.reader, picked, skip)
        return {
            "asked": plain(asked),
            "sums": sums_of(office.reader, picked),
            "rows": [dict(zip(names, row, strict=True)) for row in rows],
            "next": skip + PAGE if len(rows) == PAGE else None,
        }


def _add_ahead(router: APIRouter, office: Office) -> None:
    about = Depends(asking(office))
    desk = office.desk

    @router.get("/what-if")
    def api_what_if(
        asked: Asked = about,
        per_gb: Annotated[float | None, Query(ge=0, le=1_000)] = None,
        device_per_hour: Annotated[float | None, Query(ge=0, le=10_000)] = None,
        machines: Annotated[float | None, Query(ge=0, le=10_000)] = None,
        hit_ratio: Annotated[float | None, Query(ge=0, le=1)] = None,
    ) -> Json:
        """The same days at another price of a GB or of a machine's hour, with other machines held
        in each region, or another share of answers from caches."""
        change = Change(per_gb, device_per_hour, machines, hit_ratio)
        found = what_if(office.reader, office.books(), asked, change)
        return {"asked": plain(asked), **msgspec.to_builtins(found)}

    @router.get("/properties/{property}/ways")
    def api_ways(property: str) -> Json:
        """A month ahead, by family and region: what hauling, a replica and rehydration would cost,
        from how many misses per image each pays, and the policy that is in force."""
        desk.site(property)
        asked = office.ask(property=property)
        found = forecasts(office.reader, office.books(), property, asked.now, asked.today)
        chosen = ways_of(desk.database, desk.origin.properties_dir, property)
        return {
            "property": property,
            "families": msgspec.to_builtins(found),
            "policies": msgspec.to_builtins(chosen),
        }

    @router.get("/policies")
    def api_policies(asked: Asked = about) -> Json:
        """What each policy would have cost in the days asked for, by family: the recorded days
        once more, answered otherwise."""
        names = [asked.scope.property] if asked.scope.property else desk.sites
        for name in names:
            desk.site(name)
        found = [one for name in names for one in policies_of(office, asked, name)]
        return {"asked": plain(asked), "families": msgspec.to_builtins(found)}

    @router.put("/properties/{property}/families/{family}/policy")
    def api_choose_policy(property: str, family: str, said: ChosenPolicy, person: Asking) -> Json:
        """Have a family's misses answered by another policy from now on."""
        changed = decide(office, property, family, said.policy, person.name)
        return {"property": property, "family": family, "changed": changed}


def _add_prices(router: APIRouter, office: Office) -> None:
    @router.get("/prices")
    def api_prices() -> Json:
        """The setting's price book and those that it named before, and every book that was chosen,
        with the day it holds from."""
        books = office.books()
        return {
            "default": msgspec.to_builtins(books.default),
            "settings": [_chosen(one) for one in books.settings],
            "chosen": [
                {"property": property, "region": region, **_chosen(one)}
                for (property, region), many in sorted(books.chosen.items())
                for one in many
            ],
        }


def decide(office: Office, property: str, family: str, policy: str, by: str) -> bool:
    """Choose a family's policy; :class:`InputError` for a family that there is none of."""
    desk = office.desk
    desk.site(property)
    asked = office.ask(property=property)
    found = forecasts(office.reader, office.books(), property, asked.now, asked.today, exact=False)
    if family not in {*desk.families(property), *(one.family for one in found)}:
        raise InputError(f"{property} has no family {family[:40]!r}")
    return policies.choose(
        desk.database,
        desk.origin.properties_dir,
        found,
        property,
        family,
        policies.policy_named(policy),
        by,
    )


def _chosen(one: Chosen) -> Json:
    return {
        "since": one.since and str(one.since),
        "by": one.by,
        "book": msgspec.to_builtins(one.book),
    }
