"""What a process has made when it begins to serve stays made."""

import gc


def settle(young: int | None = None) -> None:
    """Leave what was made so far alone for ever: looking through it now and then for what only
    cycles keep takes longer than an answer does.

    ``young``: how many new objects are made before those are looked through; as before, without.
    """
    gc.collect()
    gc.freeze()
    if young is not None:
        gc.set_threshold(young, 20, 100)
