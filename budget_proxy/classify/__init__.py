"""What kind of task a call is, from its messages or from a descriptor."""

from budget_proxy.classify.characteristics import classify, classify_call, classify_task

__all__ = ["classify", "classify_call", "classify_task"]
