"""The statistics of two-class predictions: AUCs and their uncertainty, comparisons, verdicts.

Everything here is computed from labels, scores and patients, without a model, a GPU or torch::

    from cxrbench.statistics import auc, compare, compare_all

    auc(labels, scores, groups=patient_ids)      # one AUC, standard error that knows of patients
    compare(labels, new, old, groups=patient_ids, margin=0.02)
    compare_all(labels, {"control": a, "sequential": b}, adjust="holm")
"""

from cxrbench.statistics.adjust import Adjustment, adjust_p_values
from cxrbench.statistics.bootstrap import Bootstrap, bootstrap_auc
from cxrbench.statistics.calibration import Calibration, ReliabilityBin, assess_calibration, average_precision
from cxrbench.statistics.comparisons import auc, compare, compare_all, compare_unpaired
from cxrbench.statistics.decision import NetBenefit, NetBenefitDifference, net_benefit, net_benefit_difference
from cxrbench.statistics.intervals import IntervalMethod
from cxrbench.statistics.operating import (
    McNemar,
    OperatingPoint,
    Proportion,
    at_threshold,
    mcnemar_tests,
    operating_points,
    sensitivity_threshold,
    youden_threshold,
)
from cxrbench.statistics.partial import partial_auc, sensitivities_at, sensitivity_at
from cxrbench.statistics.power import (
    auc_power,
    comparison_power,
    design_effect,
    images_for_comparison,
    images_for_power,
    images_for_precision,
    patients_needed,
    planned_se,
)
from cxrbench.statistics.predictions import (
    Columns,
    Predictions,
    join_predictions,
    read_all,
    read_predictions,
    write_predictions,
)
from cxrbench.statistics.predictive import PredictiveValues, predictive_values
from cxrbench.statistics.readers import ReaderStudy, reader_study
from cxrbench.statistics.recalibration import Recalibration, recalibration
from cxrbench.statistics.records import Comparison, Curve, MarginTest, Omnibus, Pair
from cxrbench.statistics.resampling import (
    BandPoint,
    Resampled,
    Resampling,
    resampled,
    resampled_difference,
    roc_band,
)
from cxrbench.statistics.seeds import SeedSpread, across_seeds
from cxrbench.statistics.sites import PooledAuc, pooled_auc
from cxrbench.statistics.subgroups import Subgroup, SubgroupReport, age_bands, subgroup_aucs
from cxrbench.statistics.verdicts import Outcome, Target, Verdict, verdict

__all__ = [
    "Adjustment",
    "BandPoint",
    "Bootstrap",
    "Calibration",
    "Columns",
    "Comparison",
    "Curve",
    "IntervalMethod",
    "MarginTest",
    "McNemar",
    "NetBenefit",
    "NetBenefitDifference",
    "Omnibus",
    "OperatingPoint",
    "Outcome",
    "Pair",
    "PooledAuc",
    "Predictions",
    "PredictiveValues",
    "Proportion",
    "ReaderStudy",
    "Recalibration",
    "ReliabilityBin",
    "Resampled",
    "Resampling",
    "SeedSpread",
    "Subgroup",
    "SubgroupReport",
    "Target",
    "Verdict",
    "across_seeds",
    "adjust_p_values",
    "age_bands",
    "assess_calibration",
    "at_threshold",
    "auc",
    "auc_power",
    "average_precision",
    "bootstrap_auc",
    "compare",
    "compare_all",
    "compare_unpaired",
    "comparison_power",
    "design_effect",
    "images_for_comparison",
    "images_for_power",
    "images_for_precision",
    "join_predictions",
    "mcnemar_tests",
    "net_benefit",
    "net_benefit_difference",
    "operating_points",
    "partial_auc",
    "patients_needed",
    "planned_se",
    "pooled_auc",
    "predictive_values",
    "read_all",
    "read_predictions",
    "reader_study",
    "recalibration",
    "resampled",
    "resampled_difference",
    "roc_band",
    "sensitivities_at",
    "sensitivity_at",
    "sensitivity_threshold",
    "subgroup_aucs",
    "verdict",
    "write_predictions",
    "youden_threshold",
]
