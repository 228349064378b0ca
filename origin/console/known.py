"""What a prompt set is checked against: a property's assets, and what was asked before."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from functools import cached_property
from typing import Any

import msgspec
from sqlalchemy import Select, select

from kvsync.errors import InputError, RequestError
from kvsync.record import PromptRecipe, Recipe
from origin.console.desk import Desk
from origin.console.prompt_sets.checking import AttributesKey, Known, attributes_key
from origin.console.tables import PromptRow, PromptSetRow
from origin.tables import AssetRow, CandidateRow


def known(desk: Desk, property: str, family: str) -> Known:
    """The property's assets, and what was asked of this family before."""
    looking = _Looking(desk, property, family)
    return Known(looking.canonical, looking.shows, looking.attributes, looking.asked)


class _Looking:
    """Asks for no more than a prompt set needs: there may be very many assets."""

    def __init__(self, desk: Desk, property: str, family: str) -> None:
        self._desk, self._property, self._family = desk, property, family
        self._site = desk.site(property)
        self._checked: dict[str, str] = {}

    def canonical(self, path: str) -> str:
        if path not in self._checked:
            try:
                request = self._site.request(path)
                self._site.dam.stat(self._site.name_of(request))
            except RequestError as error:
                raise InputError(f"asset {path[:80]!r} is not in the asset store") from error
            self._checked[path] = request.path
        return self._checked[path]

    def shows(self, attributes: AttributesKey) -> str | None:
        return self._paths.get(attributes)

    def attributes(self, path: str) -> Mapping[str, object]:
        if (listed := self._listed.get(path)) is not None:
            return listed
        of_path = select(AssetRow.attributes).where(
            AssetRow.property == self._property,
            AssetRow.path == path,
            AssetRow.family == self._family,
        )
        with self._desk.database.reading() as session:
            return session.scalars(of_path).first() or {}

    def asked(self, paths: Collection[str]) -> Mapping[str, set[tuple[str, int | None]]]:
        found: defaultdict[str, set[tuple[str, int | None]]] = defaultdict(set)
        with self._desk.database.reading() as session:
            for row in session.execute(self._recipes(paths)):
                recipe: PromptRecipe = msgspec.msgpack.decode(row.recipe, type=Recipe)
                found[row.path] |= {(recipe.prompt, recipe.seed), (recipe.prompt, None)}
            for asked in session.execute(self._prompts(paths)):
                found[asked.path].add((asked.prompt, asked.seed))
        return found

    @cached_property
    def _listed(self) -> Mapping[str, Mapping[str, object]]:
        """Attributes by path, of the gallery's manifest."""
        catalogue = self._desk.catalogues.get(self._property)
        if catalogue is None or catalogue.family != self._family:
            return {}
        assets = catalogue.assets.items()
        return {self._site.request(name).path: asset.attributes for name, asset in assets}

    @cached_property
    def _paths(self) -> Mapping[AttributesKey, str]:
        query = select(AssetRow.path, AssetRow.attributes).where(
            AssetRow.property == self._property, AssetRow.family == self._family
        )
        with self._desk.database.reading() as session:
            rows: Iterable[Any] = session.execute(query).all()
        found = {attributes_key(values): path for path, values in rows}
        return found | {attributes_key(values): path for path, values in self._listed.items()}

    def _recipes(self, paths: Collection[str]) -> Select[str, bytes]:
        return (
            select(AssetRow.path, CandidateRow.recipe)
            .join(CandidateRow, CandidateRow.asset_id == AssetRow.id)
            .where(AssetRow.property == self._property, AssetRow.path.in_(paths))
        )

    def _prompts(self, paths: Collection[str]) -> Select[str, str, int | None]:
        return (
            select(PromptRow.path, PromptRow.prompt, PromptRow.seed)
            .join(PromptSetRow, PromptSetRow.id == PromptRow.set_id)
            .where(PromptSetRow.property == self._property, PromptSetRow.family == self._family)
            .where(PromptRow.path.in_(paths))
        )
