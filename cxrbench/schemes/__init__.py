"""Training schemes as data: the notation, the registry and the sets that ship, and the plan of stage runs."""

from cxrbench.schemes.claims import Claim, claims
from cxrbench.schemes.notation import INIT, Scheme, Stage, parse
from cxrbench.schemes.plan import Plan, StageRun, make_plan
from cxrbench.schemes.registry import PATHS, SETS, SIX, Registry, scheme_set

__all__ = [
    "INIT",
    "PATHS",
    "SETS",
    "SIX",
    "Claim",
    "Plan",
    "Registry",
    "Scheme",
    "Stage",
    "StageRun",
    "claims",
    "make_plan",
    "parse",
    "scheme_set",
]
