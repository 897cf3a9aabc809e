"""Many laws on many backends in processes of their own, and the record that is kept of it."""
