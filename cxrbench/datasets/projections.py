"""Which views stay in a cohort: frontal ones, and laterals where the user asks for them."""

from __future__ import annotations

import pandas as pd

from cxrbench.datasets.folder import Selection

LATERAL = "lateral view"
OTHER = "other view (oblique, decubitus, ...)"
UNKNOWN = "view not known"


def keep_views(selection: Selection, stated: pd.Series, laterals: bool, *, unknown: bool = False) -> None:
    """Leave out what is not frontal, counted by reason.

    Parameters
    ----------
    selection: with the column ``view`` in the contract's words, missing where it is not one of them.
    stated: the view as the data set's table writes it, by the same index; missing where it says nothing.
    laterals: keep lateral views.
    unknown: keep images of which the table says nothing (where the data set says that all are frontal).
    """
    if not laterals:
        selection.leave_out(selection.frame["view"] == "lateral", LATERAL)
    said = stated.reindex(selection.frame.index).notna()
    selection.leave_out(selection.frame["view"].isna() & said, OTHER)
    if not unknown:
        selection.leave_out(selection.frame["view"].isna(), UNKNOWN)
