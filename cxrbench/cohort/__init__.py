"""The cohort: its table, its split by patient, its packed pixels, and the leak audit.

Importing the package imports none of its modules:

- ``table``    the contract that every data set's adapter keeps
- ``split``    train, validation and test by patient, written down with a hash
- ``pack``     every image decoded once (its table as ``jsonlines``)
- ``leaks``    the audit: shared patients, and films under two names (``duplicates``, from ``fingerprint`` and
  ``registration``)
- ``storage``  atomic files and the keys of what is stored
"""
