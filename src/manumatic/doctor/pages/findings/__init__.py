"""A page for each code of the doctor, by the first digits of the codes."""
