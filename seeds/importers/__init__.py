"""Importers of public formats: they stream, resume where they were stopped, and import nothing twice."""
