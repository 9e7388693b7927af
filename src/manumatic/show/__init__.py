"""Facts as text, drawings and pages."""
