"""One machine, started and checked with one command."""
