"""The web: what people and programs can ask of the service."""
