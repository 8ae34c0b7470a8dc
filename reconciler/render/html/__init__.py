"""The page: one file with its style and script inside."""
