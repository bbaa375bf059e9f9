"""Guided diagnosis: what to check next, why, and when to stop."""
