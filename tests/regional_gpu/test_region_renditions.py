"""A disk that fails costs the region its cache, never an answer."""

from pathlib import Path

from kvsync.blobs import BlobStore
from regional_gpu.service.renditions import Renditions


def test_a_blob_that_cannot_be_read_is_a_miss_and_counted(tmp_path: Path) -> None:
    blobs = BlobStore(tmp_path, 1 << 20)
    renditions = Renditions(blobs)
    blobs.put(b"name", b"of another version")
    assert renditions.get(b"name") is None and renditions.faults == 1
    renditions.close()
