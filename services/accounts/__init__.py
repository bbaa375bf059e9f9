"""People, service accounts, their sessions, organisations, sites and vehicles."""
