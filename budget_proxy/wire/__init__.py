"""The provider dialects: the only place that knows how providers spell things."""
