from fractions import Fraction
from math import comb, sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.knowledge.beta import beta_cdf, beta_quantile

shapes = st.floats(0.05, 5000)


def exact_cdf(x: Fraction, a: int, b: int) -> Fraction:
    """For whole a and b: the probability of at least `a` successes in a + b - 1 trials (DLMF 8.17.5)."""
    n = a + b - 1
    return sum((comb(n, k) * x**k * (1 - x) ** (n - k) for k in range(a, n + 1)), Fraction(0))


@pytest.mark.parametrize(("a", "b"), [(1, 1), (1, 7), (3, 2), (12, 5), (60, 2), (2, 60), (150, 130)])
@pytest.mark.parametrize(
    "x", [Fraction(1, 1000), Fraction(1, 20), Fraction(1, 2), Fraction(9, 10), Fraction(999, 1000)]
)
def test_distribution_equals_the_binomial_sum(a: int, b: int, x: Fraction):
    assert beta_cdf(float(x), a, b) == pytest.approx(float(exact_cdf(x, a, b)), rel=1e-9, abs=1e-14)


@pytest.mark.parametrize("p", [0.001, 0.05, 0.5, 0.95, 0.999])
def test_quantiles_equal_closed_forms(p: float):
    assert beta_quantile(p, 1, 1) == pytest.approx(p, rel=1e-12)
    assert beta_quantile(p, 2, 1) == pytest.approx(sqrt(p), rel=1e-12)
    assert beta_quantile(p, 1, 9) == pytest.approx(1 - (1 - p) ** (1 / 9), rel=1e-10)


def test_quantiles_equal_published_values():
    # Table 2 of Abramowitz & Stegun, 26.5: percentage points, by way of the F distribution F(.95; 10, 10) = 2.98.
    assert beta_quantile(0.95, 5, 5) == pytest.approx(2.9782 / (1 + 2.9782), abs=1e-4)
    # Clopper & Pearson 1934: 95 % limits of 0 and of 5 successes in 10 trials.
    assert beta_quantile(0.975, 1, 10) == pytest.approx(0.3085, abs=1e-4)
    assert beta_quantile(0.025, 5, 6) == pytest.approx(0.1871, abs=1e-4)


@given(p=st.floats(1e-6, 1 - 1e-6), a=shapes, b=shapes)
def test_quantile_inverts_the_distribution(p: float, a: float, b: float):
    x = beta_quantile(p, a, b)
    assert 0 <= x <= 1
    # Where the quantile is closer to a wall than floats can tell, the distribution jumps between neighbours.
    if 1e-12 < x < 1 - 1e-9:
        assert beta_cdf(x, a, b) == pytest.approx(p, rel=1e-6, abs=1e-9)


@given(a=shapes, b=shapes, x=st.floats(0.001, 0.999), y=st.floats(0.001, 0.999))
def test_distribution_rises_and_mirrors(a: float, b: float, x: float, y: float):
    low, high = sorted((x, y))
    assert beta_cdf(low, a, b) <= beta_cdf(high, a, b) + 1e-12
    assert beta_cdf(x, a, b) == pytest.approx(1 - beta_cdf(1 - x, b, a), abs=1e-9)


@pytest.mark.parametrize(("a", "b"), [(0, 1), (1, -1)])
def test_shapes_must_be_positive(a: float, b: float):
    with pytest.raises(ValueError, match="positive"):
        beta_cdf(0.5, a, b)


def test_a_probability_lies_between_0_and_1():
    with pytest.raises(ValueError, match="probability"):
        beta_quantile(1.2, 1, 1)
