"""Image to record: the asset store, training, fitting, approval and publishing."""
