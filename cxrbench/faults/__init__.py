"""Planted faults: what of them does the instrument see?

A fault is planted into the target stage of one scheme of a finished study; everything else is the study's
own.
"""
