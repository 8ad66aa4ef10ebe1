"""What keeps the processes: one file a manager."""
