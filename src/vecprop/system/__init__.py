"""What of the machine is used: its threads."""
