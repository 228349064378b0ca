"""The cost dashboard: what the ledger says, priced, as pages, API, CSV and metrics."""
