"""Progress of a run: a bar in a terminal, plain lines elsewhere."""

__all__ = ["Progress"]

import sys
import time

WIDTH = 24  # of the bar
LINES = 20  # of a run that nobody watches in a terminal, at verbose=1


class Progress:
    """Says where a run is.

    Parameters
    ----------
    epochs : int
        Of the whole run.
    verbose : int
        1: a bar on a terminal, else about 20 lines a run; 2: a line an epoch, always.

    Examples
    --------
    >>> Progress(epochs=2, verbose=2).show(0, {"loss": 0.5, "valid": 0.75})
    epoch 0, loss 0.5000, valid 0.7500
    """

    def __init__(self, epochs: int, verbose: int) -> None:
        self.epochs = epochs
        self.every = 1 if verbose > 1 else max(1, epochs // LINES)
        # stderr, so that a table that is piped elsewhere stays clean
        self.bar = verbose == 1 and sys.stderr.isatty()
        self.began = time.monotonic()
        self.drawn = 0.0

    def show(self, epoch: int, values: dict[str, float]) -> None:
        """After an epoch, counted from 0."""
        told = ", ".join(f"{name} {value:.4f}" for name, value in values.items())
        if self.bar:
            self._draw(epoch, told)
        elif epoch % self.every == 0 or epoch + 1 == self.epochs:
            print(f"epoch {epoch}, {told}")

    def close(self) -> None:
        """Leave the bar's line behind."""
        if self.bar and self.drawn:
            print(file=sys.stderr)

    def _draw(self, epoch: int, told: str) -> None:
        now, done = time.monotonic(), epoch + 1
        if now - self.drawn < 0.1 and done < self.epochs:  # a terminal is slower than a small net
            return
        self.drawn = now
        full = WIDTH * done // self.epochs
        left = (now - self.began) / done * (self.epochs - done)
        bar = "█" * full + "░" * (WIDTH - full)
        line = f"\r{bar} epoch {done}/{self.epochs}  {told}  {left:.0f} s left "
        print(line, end="", file=sys.stderr, flush=True)
