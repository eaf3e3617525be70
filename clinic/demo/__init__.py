"""A clinic to look at: synthetic people, places marked as demo data. Loaded through the same operations that staff use."""
