"""The version of this package, and so of the suite of laws."""

__version__ = "0.1.0"
