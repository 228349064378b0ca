"""What keeps one region as the origin's logs say: ``python -m kvsync``."""
