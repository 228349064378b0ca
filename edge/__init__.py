"""Request to response: the worker at a point of presence."""
