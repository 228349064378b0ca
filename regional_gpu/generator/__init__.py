"""The library half of the region: generators, fingerprints and scores, no web code."""
