"""The web half of a region: signed record and rendition in, checked and encoded image out."""
