"""Figures of the event processor."""

from prometheus_client import Counter, Histogram

EVENTS = Counter("efi_events", "Events worked through, by what became of them.", ["event_type", "outcome"])
HANDLER_SECONDS = Histogram(
    "efi_event_handler_seconds",
    "Time a handler took, its transaction included.",
    ["handler"],
    buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 5, 30),
)
LAG_SECONDS = Histogram(
    "efi_event_lag_seconds",
    "From when an event was due until it was done.",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 30, 300),
)
