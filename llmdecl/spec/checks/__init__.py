"""What can only be judged with the whole spec in view: one module a subject."""
