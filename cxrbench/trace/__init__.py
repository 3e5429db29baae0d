"""The trace: what a study wrote down on the way, which shows whether two experiments differ, and where.

- ``records``     what is written down: data by parts, the first steps of a stage, what enters a prediction
- ``fingerprints``  how images, ids and labels become numbers that can be compared one by one
- ``compare``     trace against trace (``parts``, ``stages``, ``predictions``)
- ``text``        a comparison for a person and as JSON
- ``tolerances``  how far an honest run on another machine may be away
- ``parting``     a place where they part, in words
"""
