"""Figures of the matching index of this replica."""

from prometheus_client import Gauge

CARDS = Gauge("efi_index_cards", "Cards in the matching index.")
READ_UNTIL = Gauge(
    "efi_index_read_until_seconds", "What was committed by any replica until then is in the index, since the epoch."
)
CARDS_TO_EMBED = Gauge("efi_index_cards_to_embed", "Cards that await their vector by the configured embedder.")
