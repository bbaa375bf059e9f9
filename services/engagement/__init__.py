"""Reaching people: the inbox, and e-mail."""
