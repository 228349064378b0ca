"""Every error the system raises on purpose: whose fault it is, and its HTTP status.

::

    RehydrationError                  500
    ├── InputError                    a person's file, setting or command is wrong (exit code 1)
    │   └── ModelError                502 a model folder is missing, damaged or not allowed
    ├── RequestError                  the client's request is wrong
    │   ├── BadRequest                400
    │   ├── UnknownHost               421
    │   ├── MethodNotAllowed          405
    │   ├── Forbidden                 403 no token, or not for this property
    │   ├── LogAhead                  409 a region knows more of the log than the origin
    │   ├── Trimmed                   410 the log begins later: take the snapshot
    │   └── PathTooLong               414
    ├── NotCached                     504 only-if-cached was asked for, and it is not
    ├── RecordError                   502 the record is wrong: retrying cannot help, ask the origin
    │   ├── MalformedRecord, BadSignature, KeyNotAllowed, WrongAsset, ExpiredRecord, RevokedRecord
    │   ├── NotRenewed            the region could not ask for too long what was revoked
    │   ├── Unsupported               a valid record of a kind this version does not know
    │   └── LogError                  signed, and still not what may be applied now
    │       ├── Replayed, Gap, WrongChain     a batch that does not follow
    │       ├── Truncated             an answer of the log that ends in its middle
    │       └── RolledBack            a snapshot or heartbeat older than what is known
    ├── FingerprintMismatch           502 the generation is not the approved image
    └── Unavailable                   the network or a peer is wrong: fall back
        ├── StoreUnavailable          503
        │   └── StoreFull             503 its memory is used up: nothing more is kept
        ├── Busy                      503 would not finish by the deadline; has retry_after_s
        │   └── Overloaded            503 too much at once here: shed before it queues
        ├── RegionUnavailable         504
        │   └── ReplicaUnavailable    504 what keeps the region's originals is not there
        ├── NotReplicated             404 the region keeps no copy of that original
        └── OriginUnavailable         504

``reason`` is the short name used in counters, ``Cache-Status`` details and error bodies.
"""


class RehydrationError(Exception):
    """Base of all; ``str(error)`` is one line that says what, where and what to do."""

    status = 500
    reason = "internal"


class InputError(RehydrationError):
    reason = "bad-input"


class ModelError(InputError):
    status = 502
    reason = "model"


class RequestError(RehydrationError):
    status = 400
    reason = "bad-request"


class BadRequest(RequestError):
    pass


class UnknownHost(RequestError):
    status = 421
    reason = "unknown-host"


class MethodNotAllowed(RequestError):
    status = 405
    reason = "method"


class PathTooLong(RequestError):
    status = 414
    reason = "path-too-long"


class Forbidden(RequestError):
    status = 403
    reason = "forbidden"


class LogAhead(RequestError):
    status = 409
    reason = "log-ahead"


class Trimmed(RequestError):
    status = 410
    reason = "trimmed"


class NotCached(RehydrationError):
    status = 504
    reason = "only-if-cached"


class RecordError(RehydrationError):
    status = 502
    reason = "record"


class MalformedRecord(RecordError):
    reason = "malformed"


class BadSignature(RecordError):
    reason = "signature"


class KeyNotAllowed(RecordError):
    reason = "signing-key"


class WrongAsset(RecordError):
    reason = "wrong-asset"


class ExpiredRecord(RecordError):
    reason = "expired"


class RevokedRecord(RecordError):
    reason = "revoked"


class NotRenewed(RecordError):
    reason = "unrenewed"


class Unsupported(RecordError):
    status = 501
    reason = "unsupported"


class LogError(RecordError):
    reason = "log"


class Replayed(LogError):
    reason = "replayed"


class Gap(LogError):
    reason = "gap"


class WrongChain(LogError):
    reason = "chain"


class Truncated(LogError):
    reason = "truncated"


class RolledBack(LogError):
    reason = "rolled-back"


class FingerprintMismatch(RehydrationError):
    status = 502
    reason = "fingerprint"


class Unavailable(RehydrationError):
    status = 503
    reason = "unavailable"


class StoreUnavailable(Unavailable):
    reason = "store"


class StoreFull(StoreUnavailable):
    reason = "store-full"


class Busy(Unavailable):
    """The work would not be done by the caller's deadline."""

    reason = "busy"

    def __init__(self, message: str, retry_after_s: int = 1) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Overloaded(Busy):
    reason = "overloaded"


class RegionUnavailable(Unavailable):
    status = 504
    reason = "region"


class ReplicaUnavailable(RegionUnavailable):
    reason = "replica"


class NotReplicated(Unavailable):
    status = 404
    reason = "no-replica"


class OriginUnavailable(Unavailable):
    status = 504
    reason = "origin"
