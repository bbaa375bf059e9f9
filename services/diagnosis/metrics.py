"""Figures of the matching index of this replica."""

from prometheus_client import Gauge

CARDS = Gauge("efi_index_cards", "Cards in the matching index.")
CARDS_TO_EMBED = Gauge("efi_index_cards_to_embed", "Cards that await their vector by the configured embedder.")
