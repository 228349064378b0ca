"""The smoke test of the whole system: stories walked by a real client over TCP."""
