"""What serving a miss costs: hauled, from a replica, rehydrated. docs/economics.md derives it."""
