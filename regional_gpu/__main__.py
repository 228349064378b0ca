"""``python -m regional_gpu``: one region, told what to do by ``REGION_*`` variables."""

import logging
import sys

from kvsync.errors import InputError
from regional_gpu.settings import read_settings


def main() -> int:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("httpx2").setLevel(logging.WARNING)
    try:
        settings = read_settings()
        from regional_gpu.service.start import serve

        serve(settings)
    except InputError as error:
        print(f"region: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
