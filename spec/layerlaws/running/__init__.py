"""Holds many backends to many laws in worker processes, and keeps the records."""
