"""The Beta distribution: its cumulative distribution and quantiles, to about ten digits."""

import math

_TINY = 1e-300
_PRECISION = 1e-15
_MAX_TERMS = 20_000


def beta_cdf(x: float, a: float, b: float) -> float:
    """Probability that a Beta(a, b) variable is at most `x`: the regularised incomplete beta function I_x(a, b).

    `a` and `b` must be positive. Continued fraction of DLMF 8.17.22, evaluated by the modified Lentz method.
    """
    if not (a > 0 and b > 0):
        raise ValueError("a and b must be positive")
    if x <= 0:
        return 0.0
    if x >= 1:
        return 1.0
    log_front = a * math.log(x) + b * math.log1p(-x) + math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    # The fraction converges fast below the mean; above it the mirrored one does.
    if x <= (a + 1) / (a + b + 2):
        return min(1.0, math.exp(log_front) * _fraction(x, a, b) / a)
    return max(0.0, 1.0 - math.exp(log_front) * _fraction(1 - x, b, a) / b)


def _fraction(x: float, a: float, b: float) -> float:
    c, d = 1.0, 1.0 / _away_from_zero(1.0 - (a + b) * x / (a + 1))
    value = d
    for m in range(1, _MAX_TERMS):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for term in (even, odd):
            d = 1.0 / _away_from_zero(1.0 + term * d)
            c = _away_from_zero(1.0 + term / c)
            value *= c * d
        if abs(c * d - 1.0) < _PRECISION:
            break
    return value


def _away_from_zero(number: float) -> float:
    return number if abs(number) > _TINY else _TINY


def beta_quantile(probability: float, a: float, b: float) -> float:
    """The x in [0, 1] with beta_cdf(x, a, b) = `probability`, by Newton steps kept inside a shrinking bracket."""
    if not 0 <= probability <= 1:
        raise ValueError("a probability lies in [0, 1]")
    if probability in (0, 1):
        return float(probability)
    log_norm = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    low, high = 0.0, 1.0
    x = a / (a + b)
    for _ in range(200):
        error = beta_cdf(x, a, b) - probability
        if error > 0:
            high = x
        else:
            low = x
        log_density = log_norm + (a - 1) * math.log(x) + (b - 1) * math.log1p(-x)
        step = error * math.exp(-log_density) if log_density > -700 else math.inf
        following = x - step
        # Newton doubles the digits: what is left after so small a step is beyond a float.
        found = abs(step) <= 1e-9 * min(x, 1 - x)
        if not found and not low < following < high:
            following = (low + high) / 2
            found = abs(following - x) <= 1e-14 * x
        if found or following in (0.0, 1.0):
            return min(1.0, max(0.0, following))
        x = following
    return x
