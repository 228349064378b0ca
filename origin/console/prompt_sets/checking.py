"""A prompt set against what is here: row by row what is new, changed, known already, or wrong."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from typing import Literal

from kvsync.errors import InputError, RehydrationError
from origin.console.prompt_sets.reading import Line, Wrong
from regional_gpu.generator.text import Vocabulary

Verdict = Literal["new", "changed", "known"]
AttributesKey = tuple[tuple[str, str], ...]
# What was asked before is looked up for so many lines together.
_AT_ONCE = 500


@dataclass(frozen=True)
class FamilyModel:
    """What a prompt is checked against; a size or vocabulary of None takes any, and ``most_steps``
    of None any settings. Our own models take up to so many steps of Euler, without guidance."""

    digest: bytes
    vocabulary: Vocabulary | None
    size: tuple[int, int] | None
    steps: int = 1
    sampler: str = "Euler"
    guidance: float = 1.0
    most_steps: int | None = None


@dataclass(frozen=True)
class Known:
    """The property's assets and what was asked for before.

    ``canonical`` gives a path its canonical form or raises a RehydrationError when there is no
    such original. ``shows`` are the path of the asset with just these attributes, if any, and
    ``attributes`` those of the asset at a path, empty where nobody described it. ``asked`` gives
    the (prompt, seed) pairs of each of some paths.
    """

    canonical: Callable[[str], str]
    shows: Callable[[AttributesKey], str | None]
    attributes: Callable[[str], Mapping[str, object]]
    asked: Callable[[Collection[str]], Mapping[str, Collection[tuple[str, int | None]]]]


@dataclass(frozen=True, slots=True)
class Good:
    """A row that may go in; ``seed`` None means that several are tried."""

    number: int
    text: str
    verdict: Verdict
    path: str
    prompt: str
    attributes: dict[str, str]
    seed: int | None
    width: int
    height: int
    steps: int
    sampler: str
    guidance: float


def check_lines(
    lines: Iterable[Line | Wrong], model: FamilyModel, known: Known
) -> Iterable[Good | Wrong]:
    """Each line's verdict, in order; the second of two that ask the same is wrong."""
    checked = iter(_check_lines(lines, model, known))
    while some := list(islice(checked, _AT_ONCE)):
        asked = known.asked({one.path for one in some if isinstance(one, Good)})
        for one in some:
            yield one if isinstance(one, Wrong) else replace(one, verdict=_verdict(one, asked))


def _verdict(good: Good, asked: Mapping[str, Collection[tuple[str, int | None]]]) -> Verdict:
    before = asked.get(good.path, ())
    if not before:
        return "new"
    return "known" if (good.prompt, good.seed) in before else "changed"


def _check_lines(
    lines: Iterable[Line | Wrong], model: FamilyModel, known: Known
) -> Iterable[Good | Wrong]:
    seen: dict[tuple[str, str, int | None], int] = {}
    for line in lines:
        if isinstance(line, Wrong):
            yield line
            continue
        try:
            good = _check(line, model, known)
        except RehydrationError as error:
            yield Wrong(line.number, line.text, _why(error))
            continue
        first = seen.setdefault((good.path, good.prompt, good.seed), line.number)
        if first != line.number:
            yield Wrong(line.number, line.text, f"says the same as line {first}")
        else:
            yield good


def attributes_key(attributes: Mapping[str, object]) -> AttributesKey:
    """Attribute values as :attr:`Known.shows` takes them."""
    return tuple(sorted((name, str(value).casefold()) for name, value in attributes.items()))


def _check(line: Line, model: FamilyModel, known: Known) -> Good:
    if line.model and not model.digest.hex().startswith(line.model.casefold()):
        name = model.digest.hex()[:8]
        raise InputError(f"is of model {line.model[:16]}; this family's is {name}")
    attributes = model.vocabulary.read(line.prompt) if model.vocabulary else {}
    path = _path(line, attributes, known)
    width, height = _size(line, model)
    _check_settings(line, model)
    return Good(
        number=line.number,
        text=line.text,
        verdict="new",
        path=path,
        prompt=line.prompt,
        attributes=attributes,
        seed=line.seed,
        width=width,
        height=height,
        steps=line.steps or model.steps,
        sampler=line.sampler or model.sampler,
        guidance=model.guidance if line.guidance is None else line.guidance,
    )


def _path(line: Line, attributes: Mapping[str, str], known: Known) -> str:
    if line.path is None:
        named = known.shows(attributes_key(attributes)) if attributes else None
        if named is None:
            raise InputError("names no asset, and no asset shows just what its prompt says")
        return named
    path = known.canonical(line.path)
    described = known.attributes(path)
    for name, value in attributes.items():
        if name in described and str(described[name]).casefold() != value.casefold():
            raise InputError(
                f"says {name} {value}, but the asset that it names has {described[name]}"
            )
    return path


def _size(line: Line, model: FamilyModel) -> tuple[int, int]:
    if model.size is None:
        if line.width is None or line.height is None:
            raise InputError("needs a size: this model draws any")
        return line.width, line.height
    width, height = line.width or model.size[0], line.height or model.size[1]
    if (width, height) != model.size:
        raise InputError(f"size {width}x{height}: this model draws {model.size[0]}x{model.size[1]}")
    return width, height


def _check_settings(line: Line, model: FamilyModel) -> None:
    if model.most_steps is None:
        return
    steps, sampler = line.steps or model.steps, line.sampler or model.sampler
    if steps > model.most_steps:
        takes = "1 step" if model.most_steps == 1 else f"up to {model.most_steps} steps"
        raise InputError(f"steps {steps}: this model takes {takes}")
    if sampler.casefold() != model.sampler.casefold():
        raise InputError(f"sampler {sampler[:40]!r}: this model takes {model.sampler} only")
    if line.guidance is not None and line.guidance > model.guidance:
        raise InputError(f"cfg scale {line.guidance:g}: this model takes {model.guidance:g} only")


def _why(error: RehydrationError) -> str:
    return str(error).removeprefix("prompt: ")
