"""Reading a script without running it: what it says about its training."""
