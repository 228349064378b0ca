"""A model is offered once this machine made a sample of its approved pictures again.

The sample (signed records) comes with the call that has the model brought in, and lies beside the
model; so does the verdict, under the digests of runtime and sample that it holds for. While
neither changes, nothing is made again. A model that came without a sample is let through: its
pictures are checked one by one, and the first one that matches becomes its sample.
"""

import hashlib
import logging
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from kvsync.encoding import UNREADABLE
from kvsync.errors import InputError, ModelError, RecordError, RehydrationError
from kvsync.files import write_file
from kvsync.record import PromptRecipe, Record
from kvsync.signing import Keyring
from kvsync.wire import Hold
from regional_gpu.generator.load import Generator
from regional_gpu.generator.runtime import Runtime
from regional_gpu.service.device_time import Account
from regional_gpu.service.generation import Generate, compared
from regional_gpu.service.metrics import RegionMetrics, model_label
from regional_gpu.service.payloads import PayloadNotHeld, Payloads

log = logging.getLogger("region")


class Verdict(msgspec.Struct, frozen=True):
    """What a sample came to; ``distance`` is the largest, in tolerances, ``refusal`` why not."""

    runtime: dict[str, str]
    runtime_digest: str
    sample: str
    records: int
    distance: float
    refusal: str = ""


class _Kept(msgspec.Struct, frozen=True, array_like=True):
    """A sample on disk, with the property whose keys signed it."""

    property: str
    sample: Hold


class Calibration:
    """The verdicts on a region's models. Works on the loader's thread, save for reading
    ``verdicts``."""

    def __init__(
        self,
        folder: Path,
        keys: Keyring,
        payloads: Payloads,
        generate: Generate,
        runtime: Callable[[], Runtime],
        metrics: RegionMetrics,
    ) -> None:
        self.payloads = payloads
        self._folder, self._keys, self._generate = folder, keys, generate
        self._runtime, self._metrics = runtime, metrics
        self.verdicts: dict[bytes, Verdict] = {}
        metrics.models_refused.set_function(
            lambda: sum(bool(verdict.refusal) for verdict in self.verdicts.values())
        )

    def demand(self, digest: bytes) -> None:
        """:class:`ModelError` for a model that does not draw here what was approved."""
        verdict = self.verdicts.get(digest)
        if verdict is not None and verdict.refusal:
            raise ModelError(verdict.refusal)

    def verify(self, sample: Hold, digest: bytes, property: str) -> tuple[Record, ...]:
        """The sample's records; a :class:`kvsync.errors.RecordError`, or :class:`InputError` when
        one is of another model."""
        now = time.time()
        records = tuple(
            Record.from_signed(signed, self._keys, key=key, property=property, now=now)
            for key, signed in sample.sample
        )
        for record in records:
            if record.body.recipe.model != digest:
                raise InputError(
                    f"model {digest.hex()[:8]}: its sample has a record of another model, "
                    f"{record.body.recipe.model.hex()[:8]}; publish again"
                )
        return records

    def keep_sample(self, digest: bytes, records: tuple[Record, ...]) -> None:
        """Write a sample of one property down; after it, a refusal is thought over again."""
        pairs = tuple((record.body.key, record.signed) for record in records)
        kept = _Kept(records[0].body.property, Hold(pairs))
        write_file(self._sample_file(digest), msgspec.msgpack.encode(kept))
        known = self._known(digest)
        if known is None or known.refusal:
            self._verdict_file(digest).unlink(missing_ok=True)
            self.verdicts.pop(digest, None)

    def has_sample(self, digest: bytes) -> bool:
        return self._sample_file(digest).exists()

    def calibrate(self, generator: Generator) -> None:
        """Make the model's sample unless that was done; :class:`ModelError` if beyond tolerance."""
        digest = generator.digest
        records = self._sample(digest)
        if not records:
            return
        runtime = self._runtime()
        known = self._known(digest)
        same = known is not None and (known.runtime_digest, known.sample) == (
            runtime.digest,
            _digest_of(records),
        )
        if known is None or not same:
            if known is not None:
                changes = sorted(dict(known.runtime.items() ^ dict(runtime.facts).items()))
                log.info("model %s: calibrated anew: %s", digest.hex()[:8], ", ".join(changes))
            known = self._judge(generator, records, runtime)
            write_file(self._verdict_file(digest), msgspec.json.encode(known))
        self.verdicts[digest] = known
        self.demand(digest)

    def state(self, digest: bytes) -> str:
        """What is known of a model, for whoever asks what this region holds."""
        verdict = self.verdicts.get(digest)
        if verdict is None:
            return "no sample yet"
        drawn = f"{verdict.records} records, at most {verdict.distance:.3f} tolerances"
        return verdict.refusal or f"calibrated: {drawn}"

    def forget(self, digest: bytes) -> None:
        """Drop what is known of a model that leaves this region."""
        self.verdicts.pop(digest, None)
        self._sample_file(digest).unlink(missing_ok=True)
        self._verdict_file(digest).unlink(missing_ok=True)

    def _judge(
        self, generator: Generator, records: tuple[Record, ...], runtime: Runtime
    ) -> Verdict:
        label = model_label(generator.digest)
        worst, why = 0.0, ""
        accounts = [Account(one.body.property, one.body.family, "calibrate") for one in records]
        recipes = [self._recipe(record) for record in records]
        device = self._metrics.device
        made, _ = device.generate(accounts, self._generate, generator, recipes)
        for record, picture in zip(records, made, strict=True):
            if isinstance(picture, RehydrationError):
                why = why or f"that of {record.body.key.hex()} failed: {picture}"
                continue
            found = device.run(accounts[0], "check", compared, picture, generator, record)
            worst = max(worst, found.distance)
            if not found.matches:
                why = why or (
                    f"that of {record.body.key.hex()} is off by {found.distance:.2f} tolerances "
                    f"({found.worst})"
                )
        self._metrics.calibrations.labels(label, "refused" if why else "passed").inc()
        self._metrics.calibration_distance.labels(label).set(worst)
        refusal = ""
        if why:
            refusal = (
                f"model {label} is not offered here: of {len(records)} approved pictures made again"
                f" under runtime {runtime.digest[:8]}, {why}; compare docs/determinism.md"
            )
            log.error("%s", refusal)
        return Verdict(
            dict(runtime.facts), runtime.digest, _digest_of(records), len(records), worst, refusal
        )

    def _sample(self, digest: bytes) -> tuple[Record, ...]:
        """What the disk has and a key that is still trusted vouches for."""
        path = self._sample_file(digest)
        try:
            kept = msgspec.msgpack.decode(path.read_bytes(), type=_Kept)
        except FileNotFoundError:
            return ()
        except UNREADABLE as error:
            raise ModelError(f"{path}: damaged ({error}); publish again") from error
        records: list[Record] = []
        for pair in kept.sample.sample:
            try:
                (record,) = self.verify(Hold((pair,)), digest, kept.property)
                self._recipe(record)
                records.append(record)
            except (RecordError, PayloadNotHeld) as error:
                # Expired, or its key is trusted no more: it can no longer speak for the model.
                log.info("model %s: left out of its sample: %s", digest.hex()[:8], error)
        return tuple(records)

    def _recipe(self, record: Record) -> PromptRecipe:
        return self.payloads.filled_from_disk(record.body.property, record.body.recipe)

    def _known(self, digest: bytes) -> Verdict | None:
        try:
            return msgspec.json.decode(self._verdict_file(digest).read_bytes(), type=Verdict)
        except (FileNotFoundError, *UNREADABLE):
            return None  # Not known, or by another version: it is found out again.

    def _sample_file(self, digest: bytes) -> Path:
        return self._folder / f"{digest.hex()}.sample"

    def _verdict_file(self, digest: bytes) -> Path:
        return self._folder / f"{digest.hex()}.calibration"


def _digest_of(records: tuple[Record, ...]) -> str:
    return hashlib.blake2b(b"".join(one.digest for one in records), digest_size=16).hexdigest()
