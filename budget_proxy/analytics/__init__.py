"""Questions asked of the history."""
