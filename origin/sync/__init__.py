"""How what was published reaches every region: outbox, sealer, stream, snapshots, reports."""
