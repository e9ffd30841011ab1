"""Rows by group, against a loop."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from vdbcluster.model.members import members_of


@given(arrays(np.int64, st.integers(0, 40), elements=st.integers(-2, 6)))
def test_each_row_is_in_its_group_and_negative_ones_in_none(groups: np.ndarray) -> None:
    found = [rows.tolist() for rows in members_of(groups)]
    wanted = range(groups.max(initial=-1) + 1)
    assert found == [np.flatnonzero(groups == group).tolist() for group in wanted]
