"""A region answers with the property's header template: dehydrating asks if the origin does."""

from collections.abc import Iterator
from io import StringIO

import pytest
from rich.console import Console
from sqlalchemy.exc import OperationalError

from kvsync.errors import InputError
from origin import originals
from origin.database import Database
from origin.dehydrate import check_headers
from origin.dehydrate_command import running_origin
from origin.inventory import describe_original, note_asset
from origin.service import create_app
from origin.settings import OriginSettings, read_settings
from origin.workplace import Workplace
from tests.origin.running import served


@pytest.fixture
def settings(environment: None) -> OriginSettings:
    return read_settings()


@pytest.fixture
def origin_url(settings: OriginSettings) -> Iterator[str]:
    """The origin, serving on its own address."""
    with served(create_app(settings), settings.port):
        yield f"http://{settings.host}:{settings.port}"


def test_an_origin_with_the_same_template_passes(place: Workplace, origin_url: str) -> None:
    check_headers(place.site, "squares", place.site.request("red-white.jpg"), origin_url)


def test_a_family_that_was_noted_since_the_start_is_named(
    place: Workplace, origin_url: str
) -> None:
    request = place.site.request("red-white.jpg")
    original = describe_original(*place.site.dam.open("red-white.jpg"))
    with place.database.writing() as session:
        note_asset(session, place.site, request.path, "circles", {}, original)
    check_headers(place.site, "circles", request, origin_url)


def test_without_its_database_the_origin_names_the_gallerys_family(
    place: Workplace, origin_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(database: Database, property: str, key: bytes) -> None:
        raise OperationalError("SELECT", {}, OSError("the disk is gone"))

    monkeypatch.setattr(originals, "family_noted", gone)
    check_headers(place.site, "squares", place.site.request("red-white.jpg"), origin_url)


def test_the_header_that_differs_is_named(place: Workplace, origin_url: str) -> None:
    request = place.site.request("red-white.jpg")
    with pytest.raises(InputError, match="red-white.jpg: the origin sends surrogate-key: rumba sq"):
        check_headers(place.site, "circles", request, origin_url)


def test_an_original_that_the_origin_does_not_serve_is_named(
    place: Workplace, origin_url: str
) -> None:
    with pytest.raises(InputError, match="none.jpg: answers 404"):
        check_headers(place.site, "squares", place.site.request("none.jpg"), origin_url)


def test_the_running_origin_is_found(settings: OriginSettings, origin_url: str) -> None:
    assert running_origin(settings, Console(file=StringIO())) == origin_url


def test_unchecked_headers_are_not_passed_over_in_silence(settings: OriginSettings) -> None:
    said = StringIO()
    assert running_origin(settings, Console(file=said, width=200)) is None
    assert f"headers not checked: no origin answers at http://127.0.0.1:{settings.port}" in (
        said.getvalue()
    )
