"""``python -m deploy`` is ``./rehydrate`` without the set-up."""

from deploy.cli import main

main()
