"""What could be set otherwise, from what the history shows: one module a kind of suggestion."""
