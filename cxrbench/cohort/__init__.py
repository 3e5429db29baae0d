"""The cohort: its table and checks, its split by patient, its packed pixels and the leak audit.

Modules: ``table`` (the contract), ``storage`` (atomic files and keys), ``split``, ``pack``, ``leaks``.
"""
