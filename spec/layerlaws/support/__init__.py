"""Exceptions, clocks, files and text. Nothing here depends on laws."""
