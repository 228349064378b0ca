"""A picture that somebody uploaded, decoded where it can do no harm: run as a process of its own.

The picture's bytes come in by stdin; what it is goes out by stdout, as msgpack.
"""

import base64
import resource
import sys

MEMORY = 1 << 30
CPU_S = 10
MOST_PIXELS = 50_000_000
THUMB = 160


def main() -> None:
    """Limits come before the first byte is read, and before the decoders are even loaded."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    sys.stdout.buffer.write(_examined(sys.stdin.buffer.read()))


def _examined(data: bytes) -> bytes:
    from io import BytesIO

    import msgspec
    from PIL import Image

    from kvsync.errors import InputError
    from regional_gpu.generator.encode import READABLE, decode

    try:
        with Image.open(BytesIO(data), formats=READABLE) as opened:
            form, pixels = opened.format or "", opened.width * opened.height
        if pixels > MOST_PIXELS:
            raise InputError(
                f"it has {pixels / 1e6:.0f} megapixels, {MOST_PIXELS / 1e6:.0f} at most"
            )
        decoded = Image.fromarray(decode(data, "it"))
    except OSError:
        return msgspec.msgpack.encode({"fault": "it is no JPEG, PNG, WebP or AVIF picture"})
    except (InputError, Image.DecompressionBombError) as error:
        return msgspec.msgpack.encode({"fault": str(error)})
    width, height = decoded.size
    decoded.thumbnail((THUMB, THUMB))
    small = BytesIO()
    decoded.save(small, "WEBP", quality=75)
    thumb = base64.b64encode(small.getvalue()).decode()
    return msgspec.msgpack.encode(
        {"form": form.lower(), "width": width, "height": height, "thumb": thumb}
    )


if __name__ == "__main__":
    main()
