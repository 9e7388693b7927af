"""Exercise 3: the weight and the bias every 100 epochs, on their way to 7 and 45.

One line: net = mm.Regressor(..., watch=mm.Watch(track=["weight", "bias"], every=100)).
"""

from pathlib import Path

import manumatic as mm

hours, score = [[1], [2], [3], [4], [5]], [52, 59, 66, 73, 80]
net = mm.Regressor(
    "linear",
    data=mm.Data(batch_size=None, preprocess=None),
    optimizer=mm.Optimizer("sgd", lr=0.01),
    loop=mm.Loop(epochs=1000),
    random_state=42,
    watch=mm.Watch(track=["weight", "bias"], every=100),
).fit(hours, score)

way = net.history_.frame.query("part == 'weight'").pivot(
    index="epoch", columns="name", values="value"
)
print(way[["weight", "bias"]].round(3))

# Do they walk straight to the answer?  Looking more often shows that they don't:
net.set_params(watch__every=1).fit(hours, score)
epoch, highest = max(net.history_.curve("weight", "weight"), key=lambda row: row[1])
print(f"\nThe weight first overshoots to {highest:.1f} (after {epoch} steps), then creeps back.")

picture = mm.WeightTrajectoryDisplay.from_estimator(net, hours, score)
Path("weight_and_bias.svg").write_text(picture.svg(), encoding="utf-8")
print("weight_and_bias.svg shows it, with the answer of least squares as dashed lines")
