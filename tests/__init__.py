"""The tests, run as their users run what they test."""

import os

# Before numpy is loaded: its small products are slower with more threads (as in the Makefile).
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
