"""Starter knowledge and importers of public formats."""
