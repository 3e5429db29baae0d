"""The commands of ``cxrbench``, one module each: the command line loads only the one that is called."""
