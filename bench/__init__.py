"""Measurements: ./rehydrate bench NAME."""
