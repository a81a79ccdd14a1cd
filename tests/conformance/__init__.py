"""Named behaviours, run directly and through both doors (docs/compatibility.md)."""
