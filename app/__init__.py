"""The application's wiring: settings, store, security, life cycle and the web application itself."""
