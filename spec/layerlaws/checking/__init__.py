"""One backend, one law: the verdict, the smallest input, and which known fault it is."""
