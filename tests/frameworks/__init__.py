"""Other people's frameworks on top of us, each run in an environment of its own (Makefile)."""
