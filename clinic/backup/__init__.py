"""The whole clinic in one file that only its data keys open, and back again."""
