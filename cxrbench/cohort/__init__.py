"""The cohort: its table, its split by patient, its packed pixels.

Importing the package imports none of its modules:

- ``table``  the contract that every data set's adapter keeps
- ``split``  train, validation and test, or folds, by patient, written down with a hash
- ``divide`` how a split is drawn
- ``pack``   every image decoded once (its table as ``jsonlines``)
"""
