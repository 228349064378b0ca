"""The ledger: what every region answered and what that took, by the minute, hour and day."""
