"""What kind of task a call is, from its messages or from a descriptor."""
