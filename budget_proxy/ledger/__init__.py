"""What was really used, and what it is accounted at."""
