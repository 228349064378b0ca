"""Record to image: the service that regenerates approved images in a region."""
