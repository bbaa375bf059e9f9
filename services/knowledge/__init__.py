"""Failure cards, their versions and review, symptoms, the knowledge graph, confidence."""
