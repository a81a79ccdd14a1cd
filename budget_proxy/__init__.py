"""Per-call LLM token budgets predicted from your own history."""
