"""A framework's tests run where it is installed: only when they are named (`make test-matrix`)."""

collect_ignore_glob = ["test_*.py"]
