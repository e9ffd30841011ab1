"""Explainable clustering: which scalar fields tell a cluster from all other rows. Pure, no I/O.

table = build_table({"price": [3.5, None, 12.0], "brand": ["a", "b", "a"]})
report, classifiers = learn(table, labels)      # needs xgboost: pip install 'vdbcluster[features]'
lifts = lift_table(table, labels)               # numpy alone
labels, probabilities = assign_by_fields(classifiers, columns, threshold=0.5)
"""

from vdbcluster.features.assigning import assign_by_fields, forests
from vdbcluster.features.classifiers import (
    Classifiers,
    ClusterClassifier,
    classifiers_from_json,
    classifiers_to_json,
)
from vdbcluster.features.importance import ImportanceParams, learn
from vdbcluster.features.lift import Lift, lift_table
from vdbcluster.features.report import ClusterImportance, FeatureEffect, ImportanceReport
from vdbcluster.features.table import Feature, LeftOut, Table, TableOptions, build_table
from vdbcluster.features.values import Kind

__all__ = [
    "Classifiers",
    "ClusterClassifier",
    "ClusterImportance",
    "Feature",
    "FeatureEffect",
    "ImportanceParams",
    "ImportanceReport",
    "Kind",
    "LeftOut",
    "Lift",
    "Table",
    "TableOptions",
    "assign_by_fields",
    "build_table",
    "classifiers_from_json",
    "classifiers_to_json",
    "forests",
    "learn",
    "lift_table",
]
