"""The two forms of Model 2: how distances are distributed, and where they agree."""

import numpy as np
import pytest
from scipy.integrate import cumulative_trapezoid

from launch.limb_forms import densities, draws, variation


@pytest.mark.parametrize("share", [0.05, 0.3, 1.0])
def test_draws_follow_the_density_of_directions(share):
    r, made = densities(share)
    distribution = np.append(0, cumulative_trapezoid(made["direction"], r))
    drawn = np.sort(draws(share, 20_000))
    expected = np.interp(drawn, r, distribution)
    assert np.abs(expected - np.linspace(0, 1, len(drawn))).max() < 0.015, "Kolmogorov and Smirnov"


def test_forms_agree_for_stiff_limbs_only():
    shares = [variation(share) for share in (0.01, 0.1, 0.3, 1.0)]
    assert shares == sorted(shares) and shares[0] < 0.005 and shares[-1] > 0.1
