"""Whole numbers to bytes and back, near their information content, in integers alone.

Range asymmetric numeral systems (Duda 2013, "Asymmetric numeral systems") with many states side
by side, so that NumPy codes two thousand symbols at a step. Each symbol has a context; a context's
frequencies are counted as symbols pass, alike in both directions, and are never stored.

A number is a token (small magnitudes as such, larger ones by their size class), then raw bits.
One walk over the data serves both directions: it hands numbers to a `Writer`, or takes them from
a `Reader`, by the same calls.
"""

import struct
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kvsync.errors import InputError, ModelError

Ints = NDArray[np.int64]

DIRECT: Final = 12
"""Magnitudes below this have a token of their own."""
TOKENS: Final = 26
LARGEST: Final = DIRECT - 1 + (1 << (TOKENS - DIRECT)) - 1
PRECISION: Final = 14
TOTAL: Final = 1 << PRECISION
LOWEST: Final = 1 << 16
"""States lie in [LOWEST, LOWEST << 16)."""
WORD: Final = 0xFFFF
MOST_LANES: Final = 2048
SYMBOLS_PER_LANE: Final = 512
FORGET: Final = 1 << 16
"""A context's counts are halved at this total."""
_HEADER: Final = struct.Struct("<HII")


class Contexts:
    """How often each token followed each context."""

    def __init__(self, expected: Ints, tokens: int = TOKENS) -> None:
        """``expected``: of each context, 16 times the magnitude to expect at first. Numbers that
        all lie below ``tokens``, at most DIRECT, are coded faster for knowing it."""
        powers = np.arange(min(DIRECT, tokens))
        share = expected[:, None] / (expected[:, None] + 16.0)
        self.tokens = tokens
        self.counts = np.ones((len(expected), tokens), dtype=np.int64)
        self.counts[:, : len(powers)] += np.rint(32 * (1 - share) * share**powers).astype(np.int64)

    def cumulative(self) -> Ints:
        """(contexts, tokens + 1): each token's range of TOTAL, none empty."""
        totals = self.counts.sum(axis=1, keepdims=True)
        frequencies = 1 + self.counts * (TOTAL - self.tokens) // totals
        largest = frequencies.argmax(axis=1)
        frequencies[np.arange(len(largest)), largest] += TOTAL - frequencies.sum(axis=1)
        ends = np.zeros((len(largest), self.tokens + 1), dtype=np.int64)
        np.cumsum(frequencies, axis=1, out=ends[:, 1:])
        return ends

    def count(self, contexts: Ints, tokens: Ints) -> None:
        pairs = np.bincount(contexts * self.tokens + tokens, minlength=self.counts.size)
        self.counts += 16 * pairs.reshape(self.counts.shape)
        full = self.counts.sum(axis=1) > FORGET
        self.counts[full] = (self.counts[full] + 1) >> 1


class Writer:
    """Takes numbers; gives their stream at the end."""

    def __init__(self, contexts: Contexts) -> None:
        self._contexts = contexts
        self._starts: list[Ints] = []
        self._frequencies: list[Ints] = []
        self._bits: list[NDArray[np.uint8]] = []

    def numbers(self, contexts: Ints, values: Ints, *, signed: bool = True) -> Ints:
        """Write ``values``, (n,), each in its context. Raises InputError beyond ±LARGEST."""
        magnitudes = np.abs(values)
        if magnitudes.max(initial=0) > LARGEST:
            raise InputError(f"a picture coefficient beyond {LARGEST} steps: take larger steps")
        over = np.maximum(magnitudes - DIRECT + 1, 1)
        sizes = np.frexp(over.astype(np.float64))[1].astype(np.int64) - 1
        tokens = np.where(magnitudes < DIRECT, magnitudes, DIRECT + sizes)
        ends = self._contexts.cumulative()
        start = ends[contexts, tokens]
        self._starts.append(start)
        self._frequencies.append(ends[contexts, tokens + 1] - start)
        self._contexts.count(contexts, tokens)
        if signed:
            self._bits.append((values[values != 0] < 0).astype(np.uint8))
        for size in range(1, TOKENS - DIRECT):
            rest = over[tokens == DIRECT + size] - (1 << size)
            self._bits.append((rest[:, None] >> np.arange(size) & 1).astype(np.uint8).reshape(-1))
        return values

    def stream(self, most_lanes: int = MOST_LANES) -> bytes:
        """``most_lanes``: fewer states side by side decode slower and save four bytes each."""
        count = sum(map(len, self._starts))
        lanes = 1
        while lanes < most_lanes and lanes * SYMBOLS_PER_LANE < count:
            lanes *= 2
        states = np.full(lanes, LOWEST, dtype=np.int64)
        chunks: list[Ints] = []
        for starts, frequencies in zip(
            reversed(self._starts), reversed(self._frequencies), strict=True
        ):
            for first in reversed(range(0, len(starts), lanes)):
                start, frequency = starts[first : first + lanes], frequencies[first : first + lanes]
                state = states[: len(start)]
                full = state >= frequency << (32 - PRECISION)
                chunks.append(state[full] & WORD)
                state = np.where(full, state >> 16, state)
                states[: len(start)] = (state // frequency << PRECISION) + state % frequency + start
        words = np.concatenate([*reversed(chunks), np.zeros(0, np.int64)]).astype("<u2").tobytes()
        bits = np.packbits(np.concatenate([*self._bits, np.zeros(0, np.uint8)])).tobytes()
        header = _HEADER.pack(lanes, len(words), len(bits))
        return header + states.astype("<u4").tobytes() + words + bits


class Reader:
    """Gives back what a `Writer` took, asked for in the same order with the same contexts.

    Raises ModelError where the stream is cut short or was changed.
    """

    def __init__(self, contexts: Contexts, stream: bytes) -> None:
        self._contexts = contexts
        try:
            lanes, words, bits = _HEADER.unpack_from(stream)
        except struct.error:
            raise _broken() from None
        states, after = _HEADER.size, _HEADER.size + 4 * lanes
        if not lanes or words % 2 or len(stream) != after + words + bits:
            raise _broken()
        self._states = np.frombuffer(stream, "<u4", lanes, states).astype(np.int64)
        self._words = np.frombuffer(stream, "<u2", words // 2, after).astype(np.int64)
        packed = np.frombuffer(stream, np.uint8, bits, after + words)
        self._bits = np.unpackbits(packed)
        self._word = self._bit = 0

    def numbers(self, contexts: Ints, values: Ints | None = None, *, signed: bool = True) -> Ints:
        """The next numbers, (n,), one for each of ``contexts``."""
        ends = self._contexts.cumulative()
        # Laid out for speed: this is where loading a model spends its time.
        between = np.ascontiguousarray(ends[:, 1:-1].T, dtype=np.int16)
        tokens = np.empty(len(contexts), dtype=np.int64)
        lanes = len(self._states)
        for first in range(0, len(contexts), lanes):
            part = slice(first, first + lanes)
            tokens[part] = self._step(contexts[part], ends.ravel(), between)
        self._contexts.count(contexts, tokens)
        negative = self._take(int((tokens > 0).sum())) if signed else None
        magnitudes = tokens.copy()
        for size in range(1, TOKENS - DIRECT):
            large = tokens == DIRECT + size
            rest = self._take(size * int(large.sum())).reshape(-1, size)
            magnitudes[large] = DIRECT - 1 + (1 << size) + (rest << np.arange(size)).sum(axis=1)
        if negative is not None:
            magnitudes[tokens > 0] *= 1 - 2 * negative
        return magnitudes

    def finish(self) -> None:
        """Every state is back where writing began, or something was changed."""
        spent = self._word == len(self._words) and len(self._bits) - self._bit < 8
        if not spent or (self._states != LOWEST).any():
            raise _broken()

    def _step(self, contexts: Ints, ends: Ints, between: NDArray[np.int16]) -> Ints:
        states = self._states[: len(contexts)]
        slots = states & (TOTAL - 1)
        passed = between.take(contexts, axis=1) <= slots.astype(np.int16)
        tokens: Ints = np.add.reduce(passed, axis=0, dtype=np.uint8).astype(np.int64)
        place = contexts * (len(between) + 2) + tokens
        start = ends.take(place)
        frequency = ends.take(place + 1) - start
        states = frequency * (states >> PRECISION) + slots - start
        short = states < LOWEST
        wanted = int(short.sum())
        words = self._words[self._word : self._word + wanted]
        if len(words) < wanted:
            raise _broken()
        self._word += wanted
        states[short] = states[short] << 16 | words
        self._states[: len(contexts)] = states
        return tokens

    def _take(self, count: int) -> Ints:
        bits = self._bits[self._bit : self._bit + count]
        if len(bits) < count:
            raise _broken()
        self._bit += count
        return bits.astype(np.int64)


def _broken() -> ModelError:
    return ModelError("decoder: a picture stream cannot be decoded; fetch the model again")
