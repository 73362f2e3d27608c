"""Git as the store uses it: one wrapper for every call, objects and commits by plumbing."""
