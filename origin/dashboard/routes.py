"""The dashboard's routes: pages, API and metrics over one office."""

from fastapi import APIRouter

from origin.console.desk import Desk
from origin.dashboard import api, metrics, pages
from origin.dashboard.office import Office


def routers(desk: Desk) -> tuple[APIRouter, ...]:
    """:class:`kvsync.errors.InputError` for a price book or a time zone that there is not."""
    office = Office(desk)
    office.open()
    return pages.routes(office), api.routes(office), metrics.routes(office)
