"""TODO-TITLE shared."""

from __future__ import annotations

import math

from layerlaws.language import strategies as st

below_nothing = st.sampled_from([-0.1, -1e-3, -2.0, -math.inf, math.nan])


above_all = st.sampled_from([1.001, 1.1, 2.0, math.inf])
