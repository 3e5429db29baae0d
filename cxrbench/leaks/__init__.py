"""The leak audit: shared patients, and films that appear under two names."""
