"""The record that publishing would make of a picture, signed: what its bytes are counted on."""

import time
from urllib.parse import quote

from kvsync.key import read_request
from kvsync.property import Property
from kvsync.record import Approval, Check, Original, RecordBody
from kvsync.signing import SigningKey
from origin.dam import content_digest, media_type_of
from origin.dehydrate import Fitted
from origin.gallery import Asset, Gallery
from origin.publish import DAY_S
from regional_gpu.generator.fingerprint import ALGORITHM

KEY = SigningKey.generate()
# As many as a large property has published, so that the number takes its full width.
SEQ = 1_000_000


def signed_record(site: Property, gallery: Gallery, asset: Asset, fitted: Fitted) -> bytes:
    """The signed record of what was ``fitted`` for ``asset``.

    Raises RecordError where no record can be made: a prompt too long, a family misnamed.
    """
    now = int(time.time())
    data = (gallery.folder / asset.file).read_bytes()
    digest = content_digest(data)
    validator = f'"{digest.hex()[:32]}"'
    path = quote(f"/{gallery.family}/{asset.file}").encode()
    body = RecordBody(
        kind="still",
        key=read_request(site, path).key,
        property=site.id,
        family=gallery.family,
        seq=SEQ,
        recipe=fitted.recipe,
        checks=(Check(0, ALGORITHM, fitted.check),),
        original=Original(validator, digest, media_type_of(asset.file), len(data)),
        # Scores take eight bytes each, whatever they are.
        approval=Approval(bytes(8), now, 90.0, 1.0),
        not_after=now + 365 * DAY_S,
    )
    return body.sign(KEY)
