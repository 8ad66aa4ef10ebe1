"""What is true outside the spec: the machine, the engines, the weights."""
