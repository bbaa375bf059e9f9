"""Drafts of failure cards out of repairs: the content by rules, and suggestions with their sources."""
