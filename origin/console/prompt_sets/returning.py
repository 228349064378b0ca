"""The wrong rows of a prompt set as a file: in the form that they came in, each with its reason,
so that they can be mended and uploaded as they are."""

import csv
import io
import json
from collections.abc import Iterable

from origin.console.prompt_sets.reading import Wrong, delimiter_of, format_of

MEDIA_TYPES = {"csv": "text/csv", "jsonl": "application/jsonl", "recipes": "text/plain"}
_ENDINGS = {"csv": "csv", "jsonl": "jsonl", "recipes": "txt"}


def returned(data: bytes, name: str, wrong: Iterable[Wrong]) -> tuple[str, str, bytes]:
    """The file's name, media type and bytes, of the upload ``data`` that was called ``name``.

    Line numbers and reasons are in columns or fields that nobody reads, or in lines that begin
    with a ``#``.
    """
    text = data.decode("utf-8-sig")
    form = format_of(text, name)
    write = {"csv": _csv, "jsonl": _json_lines, "recipes": _recipes}[form]
    return f"rejected.{_ENDINGS[form]}", MEDIA_TYPES[form], write(text, wrong).encode()


def _csv(text: str, wrong: Iterable[Wrong]) -> str:
    header = text.partition("\n")[0]
    delimiter = delimiter_of(header)
    out = io.StringIO()
    rows = csv.writer(out, delimiter=delimiter, lineterminator="\n")
    names = next(csv.reader([header], delimiter=delimiter))
    rows.writerow([*names, "line", "why"])
    for one in wrong:
        cells = next(csv.reader([one.text], delimiter=delimiter), [])
        # Too few cells or too many: the two that are ours stay under their names.
        cells = [*cells, *("" for _ in names[len(cells) :])]
        rows.writerow([*cells, str(one.number), one.why])
    return out.getvalue()


def _json_lines(text: str, wrong: Iterable[Wrong]) -> str:
    return "".join(f"{_with_reason(one)}\n" for one in wrong)


def _with_reason(one: Wrong) -> str:
    try:
        found = json.loads(one.text)
    except (ValueError, RecursionError):
        return one.text
    if not isinstance(found, dict):
        return one.text
    return json.dumps(found | {"line": one.number, "why": one.why}, ensure_ascii=False)


def _recipes(text: str, wrong: Iterable[Wrong]) -> str:
    return "".join(f"# line {one.number}: {one.why}\n{one.text}\n" for one in wrong)
