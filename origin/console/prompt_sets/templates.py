"""Prompt sets from a template over attributes, for assets known by a manifest or by their names."""

import re
from collections.abc import Iterable, Iterator, Mapping
from string import Formatter

from kvsync.errors import InputError
from origin.console.prompt_sets.reading import Line

_FIELD = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")


def filled(template: str, assets: Iterable[tuple[str, Mapping[str, object]]]) -> Iterator[Line]:
    """A line for each (path, attributes), its prompt the template with the values put in.

    Raises InputError for a template that names an attribute which an asset does not have.
    """
    fields = _fields(template)
    for number, (path, attributes) in enumerate(assets, 1):
        if missing := sorted(fields - attributes.keys()):
            known = ", ".join(attributes)
            raise InputError(f"template: {path} has no {missing[0]!r}; there is {known}")
        prompt = template.format_map({name: attributes[name] for name in fields})
        yield Line(number, f"{path}\t{prompt}", prompt, path)


def named_by(pattern: str, names: Iterable[str]) -> Iterator[tuple[str, dict[str, str]]]:
    """(name, attributes) of each name that a pattern like ``rumba_{lace}_{sole}_{view}.jpg`` fits.

    Raises InputError for a pattern that names nothing or the same attribute twice.
    """
    fields = _FIELD.findall(pattern)
    if not fields or len(set(fields)) != len(fields):
        raise InputError(f"pattern {pattern!r}: name each attribute once, like {{colour}}.jpg")
    parts = _FIELD.split(pattern)
    expression = "".join(
        f"(?P<{part}>[^/]+?)" if at % 2 else re.escape(part) for at, part in enumerate(parts)
    )
    fits = re.compile(expression)
    for name in names:
        if found := fits.fullmatch(name):
            yield name, found.groupdict()


def _fields(template: str) -> set[str]:
    try:
        parsed = list(Formatter().parse(template))
    except ValueError as error:
        raise InputError(f"template {template!r}: {error}") from None
    fields = {field for _, field, _, _ in parsed if field is not None}
    if not fields or any(not _FIELD.fullmatch(f"{{{field}}}") for field in fields):
        raise InputError(f"template {template!r}: write attributes in braces, like {{colour}}")
    if any(spec or conversion for _, _, spec, conversion in parsed):
        raise InputError(f"template {template!r}: braces hold an attribute's name only")
    return fields
