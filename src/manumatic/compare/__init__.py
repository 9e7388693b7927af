"""Both gears on the same folds: who takes part, the contest, the verdict."""
