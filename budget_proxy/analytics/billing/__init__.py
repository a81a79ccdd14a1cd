"""Bills beside the ledger: where they differ, by how much, and why (docs/billing.md)."""
