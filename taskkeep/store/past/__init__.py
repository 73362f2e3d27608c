"""The past: who has it, what it was at any moment, and how it comes back."""
