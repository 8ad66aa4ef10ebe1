"""What people see: the only modules that print."""
