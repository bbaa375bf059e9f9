"""Figures of the HTTP side; capabilities keep theirs beside their code. All are served under /metrics."""

from prometheus_client import Counter, Histogram

REQUESTS = Counter("efi_http_requests", "Requests answered.", ["method", "route", "status"])
REQUEST_SECONDS = Histogram(
    "efi_http_request_seconds",
    "Time from a request's head to the end of its answer.",
    ["method", "route"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
