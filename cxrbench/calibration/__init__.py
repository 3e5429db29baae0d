"""Calibration: a profile's difficulty is set, its spread over seeds measured, and its targets written down.

A sweep of the phantom's knobs, a fit to the AUCs that are aimed at, a confirmation over several seeds, and
statements that the numbers make true or false. Everything goes into one folder, so that a target can be
traced to the runs that it comes from.
"""
