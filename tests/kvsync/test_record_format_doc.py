"""docs/record-format.md shows what the code does: its examples are made here."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from kvsync.files import write_file
from kvsync.log import Batch, Bury, Cursor, Heartbeat
from kvsync.record import RecordBody, Tombstone
from tests.kvsync.golden import (
    KEYS,
    NOW,
    example_body,
    example_fitted_body,
    example_kept_body,
    example_key,
)

DOC = Path(__file__).parents[2] / "docs" / "record-format.md"
RECORD_FIELDS = [*RecordBody.__struct_fields__]
LINE_BYTES = 32

encode = msgspec.msgpack.encode


def hex_lines(raw: bytes) -> list[str]:
    return [raw[at : at + LINE_BYTES].hex() for at in range(0, len(raw), LINE_BYTES)]


def code(lines: list[str]) -> str:
    return "\n".join(["```", *lines, "```"])


def annotated(names: list[str], fields: list[Any]) -> Iterator[tuple[bytes, str]]:
    """An array's encoding in parts, each with what it says; nested arrays are taken apart."""
    yield bytes([0x90 + len(fields)]), f"array of {len(fields)}"
    for name, value in zip(names, fields, strict=True):
        if isinstance(value, list):
            inner = [f"{name} {number}" for number in range(len(value))]
            parts = list(annotated(inner, value))
            yield parts[0][0], f"{name}: {parts[0][1]}"
            yield from parts[1:]
        else:
            shown = f"{len(value)} bytes" if isinstance(value, bytes) else str(value)
            yield encode(value), f"{name}: {shown}"


def keys() -> str:
    rows = [f"| {rule} | `{sent}` | `{form}` | `{key}` |" for rule, sent, form, key in KEYS]
    head = ["| rule | as sent | path and parameters | key |", "|---|---|---|---|"]
    return "\n".join([*head, *rows])


def sizes() -> str:
    body, key = example_body(), example_key()
    long = replace(body, recipe=replace(body.recipe, prompt="p" * 96), seq=65_535)
    tombstone = Tombstone("tombstone", body.key, body.property, body.seq)
    prompt = len(body.recipe.prompt)
    rows = [
        (f"the worked example, prompt of {prompt} bytes", len(body.sign(key))),
        ("the same with a prompt of 96 bytes and the 65 535th sequence", len(long.sign(key))),
        ("of these: fingerprint", len(body.checks[0].digest)),
        ("of these: key id, signature and framing", len(body.sign(key)) - len(encode(body))),
        ("a studio shot with a payload of 55 bytes", len(example_fitted_body().sign(key))),
        ("the same with a payload that is named", len(example_kept_body().sign(key))),
        ("a tombstone", len(tombstone.sign(key))),
    ]
    return "\n".join(
        ["| signed | bytes |", "|---|---|", *(f"| {name} | {n} |" for name, n in rows)]
    )


def body() -> str:
    raw = encode(example_body())
    parts = list(annotated(RECORD_FIELDS, msgspec.msgpack.decode(raw)))
    if b"".join(part for part, _ in parts) != raw:
        raise AssertionError("the parts are not the whole")
    lines = []
    for part, meaning in parts:
        first, *rest = hex_lines(part)
        lines += [f"{first:<64}  {meaning}", *rest]
    return code(lines)


def fitted() -> str:
    recipe = example_fitted_body().recipe
    names = ["method", *type(recipe).__struct_fields__]
    raw = encode(recipe)
    lines = []
    for part, meaning in annotated(names, msgspec.msgpack.decode(raw)):
        first, *rest = hex_lines(part)
        lines += [f"{first:<64}  {meaning}", *rest]
    return code(lines)


def kept() -> str:
    raw = encode(example_kept_body().recipe)
    fields = msgspec.msgpack.decode(raw)[-1]
    lines = []
    for part, meaning in annotated(["form", "digest", "size"], fields):
        first, *rest = hex_lines(part)
        lines += [f"{first:<68}  {meaning}", *rest]
    return code(lines)


def tombstone() -> str:
    example = example_body()
    return code(hex_lines(Tombstone("tombstone", example.key, "shop", 7).sign(example_key())))


def log() -> str:
    example = example_body()
    tombstone = Tombstone("tombstone", example.key, "shop", 1).sign(example_key())
    batch = Batch.seal(
        example_key(),
        "shop",
        [Bury(1, example.key, tombstone)],
        after=Cursor(),
        made_at_ms=NOW * 1_000,
    )
    beat = Heartbeat.make("shop", batch.cursor, NOW * 1_000).sign(example_key())
    return code([*hex_lines(batch.signed), "", *hex_lines(beat)])


def signed() -> str:
    return code(hex_lines(example_body().sign(example_key())))


@pytest.mark.parametrize(
    "render", [keys, sizes, body, signed, fitted, kept, tombstone, log], ids=lambda f: f.__name__
)
def test_the_doc_shows_what_the_code_does(render: Any) -> None:
    expected = f"<!-- generated: {render.__name__} -->\n{render()}\n<!-- end -->"
    block = re.compile(rf"<!-- generated: {render.__name__} -->\n.*?<!-- end -->", re.DOTALL)
    if os.environ.get("WRITE_DOCS"):
        write_file(DOC, block.sub(lambda _: expected, DOC.read_text("utf-8")).encode())
    found = block.search(DOC.read_text("utf-8"))
    assert found and found[0] == expected


def test_the_doc_names_every_field() -> None:
    text = DOC.read_text("utf-8")
    for field in RECORD_FIELDS:
        assert f" | {field.replace('_', ' ')} | " in text
