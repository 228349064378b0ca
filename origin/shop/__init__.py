"""The sample shop: a gallery as a shopper sees it, every image through the edge."""
