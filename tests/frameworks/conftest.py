"""A framework's tests run where it is installed: only when they are named (`make test-matrix`)."""

import os

collect_ignore_glob = ["test_*.py"]

# LiteLLM would fetch its table of models as soon as it is imported.
os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
