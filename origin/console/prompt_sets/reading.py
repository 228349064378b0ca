"""Prompt sets as people write them: CSV, JSON lines, or one recipe a line.

Pure: text in, lines out. A line that cannot be read is a :class:`Wrong`, never an exception, so
that the others go in; what it says of the asset and the model is checked elsewhere
(:mod:`origin.console.prompt_sets.checking`).
"""

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from kvsync.errors import InputError

Format = Literal["csv", "jsonl", "recipes"]

MAX_BYTES: Final = 32 << 20
MAX_LINES: Final = 100_000
MAX_LINE: Final = 8_192
_NATURAL_END: Final = 2**63

# What a column may be called, folded to letters.
_NAMES: Final[Mapping[str, str]] = {
    **dict.fromkeys(("asset", "path", "file", "filename", "url", "image"), "path"),
    **dict.fromkeys(("prompt", "text"), "prompt"),
    **dict.fromkeys(("seed",), "seed"),
    **dict.fromkeys(("size",), "size"),
    **dict.fromkeys(("width",), "width"),
    **dict.fromkeys(("height",), "height"),
    **dict.fromkeys(("steps",), "steps"),
    **dict.fromkeys(("sampler",), "sampler"),
    **dict.fromkeys(("cfgscale", "cfg", "guidance", "guidancescale"), "guidance"),
    **dict.fromkeys(("modelhash", "model"), "model"),
}
# ", Steps: 4, Sampler: Euler": the settings behind the prompt in the community's form.
_SETTING = re.compile(r",\s*([A-Z][A-Za-z ]{1,24}):\s*")
_SIZE = re.compile(r"\s*(\d{1,5})\s*[x×]\s*(\d{1,5})\s*")


@dataclass(frozen=True, slots=True)
class Line:
    """One prompt; what is None was not said. ``model`` is the beginning of its digest in hex."""

    number: int
    text: str
    prompt: str
    path: str | None = None
    seed: int | None = None
    width: int | None = None
    height: int | None = None
    steps: int | None = None
    sampler: str | None = None
    guidance: float | None = None
    model: str | None = None


@dataclass(frozen=True, slots=True)
class Wrong:
    """A line that does not go in: its number from 1, its text, and why."""

    number: int
    text: str
    why: str


def read_lines(data: bytes, name: str) -> Iterator[Line | Wrong]:
    """Every line of an uploaded file, in order.

    Raises InputError for what is no text, too long, or without a prompt column.
    """
    if len(data) > MAX_BYTES:
        raise InputError(f"{name}: {len(data) >> 20} MB; at most {MAX_BYTES >> 20}, split the file")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{name}: not UTF-8 text (byte {error.start}); save it as UTF-8") from None
    if "\0" in text:
        raise InputError(f"{name}: not a text file")
    readers = {"csv": _csv, "jsonl": _json_lines, "recipes": _recipes}
    for count, line in enumerate(readers[format_of(text, name)](text, name)):
        if count >= MAX_LINES:
            raise InputError(f"{name}: more than {MAX_LINES} lines; split the file")
        yield line


def format_of(text: str, name: str) -> Format:
    """By the name's ending where it says, else by the first line."""
    ending = name.rpartition(".")[2].casefold()
    if ending in ("csv", "tsv"):
        return "csv"
    if ending in ("jsonl", "ndjson", "json"):
        return "jsonl"
    first = next((line for line in text.splitlines() if line.strip()), "")
    if first.lstrip().startswith("{"):
        return "jsonl"
    columns = {_NAMES.get(_folded(word)) for word in re.split("[,;\t]", first)}
    return "csv" if "prompt" in columns else "recipes"


def delimiter_of(header: str) -> str:
    """What stands between the columns of a CSV file, by its first line."""
    return max(",;\t", key=header.count)


def read_recipe(text: str) -> dict[str, str]:
    """The fields of ``prompt, Steps: 4, Sampler: Euler, …``; settings not known are left out."""
    at = list(_SETTING.finditer(text))
    first = next((index for index, one in enumerate(at) if _folded(one[1]) in _NAMES), None)
    if first is None:
        return {"prompt": text}
    found = {"prompt": text[: at[first].start()]}
    ends = [one.start() for one in at[first + 1 :]] + [len(text)]
    for one, end in zip(at[first:], ends, strict=True):
        if field := _NAMES.get(_folded(one[1])):
            found[field] = text[one.end() : end].strip()
    return found


def _csv(text: str, name: str) -> Iterator[Line | Wrong]:
    delimiter = delimiter_of(text.partition("\n")[0])
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        header = [_NAMES.get(_folded(word)) for word in next(reader)]
    except (StopIteration, csv.Error):
        header = []
    if "prompt" not in header:
        raise InputError(
            f"{name}: the first line must name the columns, with one called prompt; others may be "
            "asset, seed, size, steps, sampler, cfg scale and model hash"
        )
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield Wrong(reader.line_num, "", f"not CSV: {error}")
            continue
        if any(cell.strip() for cell in cells):
            shown = _as_csv(cells, delimiter)
            if len(cells) > len(header):
                why = f"{len(cells)} cells under {len(header)} columns: quote texts"
                yield Wrong(reader.line_num, shown, why)
                continue
            fields = {key: cell for key, cell in zip(header, cells, strict=False) if key}
            yield _line(reader.line_num, shown, fields)


def _as_csv(cells: Iterable[str], delimiter: str) -> str:
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter, lineterminator="").writerow(cells)
    return out.getvalue()


def _json_lines(text: str, name: str) -> Iterator[Line | Wrong]:
    for number, raw in _numbered(text):
        try:
            found = json.loads(raw)
        except ValueError as error:
            yield Wrong(number, raw, f"not JSON: {error}")
            continue
        except RecursionError:
            yield Wrong(number, raw, "not JSON that anybody could read: nested too deeply")
            continue
        if not isinstance(found, dict):
            yield Wrong(number, raw, "not a JSON object")
            continue
        fields = {_NAMES.get(_folded(key)): _plain(value) for key, value in found.items()}
        yield _line(number, raw, {key: value for key, value in fields.items() if key})


def _recipes(text: str, name: str) -> Iterator[Line | Wrong]:
    for number, raw in _numbered(text):
        if raw.startswith("#"):
            continue
        path, tab, rest = raw.partition("\t")
        fields = read_recipe(rest if tab else raw)
        yield _line(number, raw, fields | ({"path": path} if tab else {}))


def _numbered(text: str) -> Iterable[tuple[int, str]]:
    return ((at, raw) for at, raw in enumerate(text.split("\n"), 1) if raw.strip())


def _line(number: int, text: str, fields: Mapping[str, str]) -> Line | Wrong:
    said = {key: value.strip() for key, value in fields.items() if value.strip()}
    if len(text) > MAX_LINE:
        return Wrong(number, text[:200] + "…", f"longer than {MAX_LINE} letters")
    if "prompt" not in said:
        return Wrong(number, text, "has no prompt")
    try:
        width, height = _size(said)
        return Line(
            number,
            text,
            said["prompt"],
            said.get("path"),
            _whole(said, "seed", 0, _NATURAL_END),
            width,
            height,
            _whole(said, "steps", 1, 1_001),
            said.get("sampler"),
            _number(said, "guidance"),
            said.get("model"),
        )
    except ValueError as error:
        return Wrong(number, text, str(error))


def _size(said: Mapping[str, str]) -> tuple[int | None, int | None]:
    if "size" not in said:
        return _whole(said, "width", 1, 16_385), _whole(said, "height", 1, 16_385)
    size = _SIZE.fullmatch(said["size"])
    if size is None:
        raise ValueError(f"size {said['size'][:20]!r} is not like 768x768")
    return int(size[1]), int(size[2])


def _whole(said: Mapping[str, str], name: str, least: int, end: int) -> int | None:
    if name not in said:
        return None
    if not (said[name].isascii() and said[name].isdigit() and len(said[name]) < 20):
        raise ValueError(f"{name} {said[name][:24]!r} is not a whole number of 0 or more")
    value = int(said[name])
    if not least <= value < end:
        raise ValueError(f"{name} {value} is not between {least} and {end - 1}")
    return value


def _number(said: Mapping[str, str], name: str) -> float | None:
    if name not in said:
        return None
    try:
        value = float(said[name])
    except ValueError:
        value = -1.0
    if not 0 <= value <= 100:
        raise ValueError(f"cfg scale {said[name][:24]!r} is not a number from 0 to 100")
    return value


def _plain(value: Any) -> str:
    if isinstance(value, list) and len(value) == 2:
        return f"{value[0]}x{value[1]}"
    return "" if value is None else str(value)


def _folded(name: str) -> str:
    return re.sub("[^a-z]", "", name.casefold())
