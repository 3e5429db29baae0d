"""What is here, what is missing, and what to expect of this machine: ``cxrbench doctor``."""
