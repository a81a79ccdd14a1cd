"""The history of calls, and the sessions' memory."""
