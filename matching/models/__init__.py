"""Shipped parameters of learnt scorers, as JSON with the record of their training."""
