"""The hit list: what of a whole inventory is worth rehydrating."""
