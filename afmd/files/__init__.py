"""The only door to disk: reading scans, the capture folder, outputs, the ledger."""
