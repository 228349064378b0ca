"""The operators' console: upload prompt sets, look, decide, publish, undo."""
