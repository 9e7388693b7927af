"""The texts of ``explain``: words only, no code that looks at a subject."""
