"""What of the machine is used: its processors, and threads that run together."""
