"""The regression gate: a study against a stored baseline, by paired tests on the same test images."""
