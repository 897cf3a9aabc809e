"""Arithmetic that carries a proven rounding bound, and derivatives of it."""
