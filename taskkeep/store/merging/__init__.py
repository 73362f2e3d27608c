"""Branches that meet: the merge of their files, and its conflicts settled."""
