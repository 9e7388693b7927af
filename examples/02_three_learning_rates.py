"""Exercise 2: three learning rates, 0.1, 0.01 and 0.001.

One line: mm.sweep(net, hours, score, lr=[0.1, 0.01, 0.001]).  On the command line: manumatic sweep.
"""

import manumatic as mm

hours, score = [[1], [2], [3], [4], [5]], [52, 59, 66, 73, 80]
net = mm.Regressor(
    "linear",
    data=mm.Data(batch_size=None, preprocess=None),
    optimizer=mm.Optimizer("sgd"),
    loop=mm.Loop(epochs=1000),
    random_state=42,
)
sweep = mm.sweep(net, hours, score, lr=[0.1, 0.01, 0.001])
print(sweep)

# The limit is not a property of SGD but of the data: with hours on the scale of 1 it is 1.0, and
# half of it is exact after a single step.
scaled = [[(hour[0] - 3) / 2**0.5] for hour in hours]
one_step = net.set_params(optimizer__lr=0.5, loop__epochs=2).fit(scaled, score)
print("\nscaled, lr 0.5, loss of the first two epochs:", end=" ")
print(", ".join(f"{loss:.4f}" for _, loss in one_step.history_.curve()))
