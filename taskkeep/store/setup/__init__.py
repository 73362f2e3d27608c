"""What taskkeep puts into files of the user's, and takes out again."""
