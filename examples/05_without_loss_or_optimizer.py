"""Question 2: what happens without a loss, or without an optimizer?  Leave them out and see."""

import manumatic as mm

hours, score = [[1], [2], [3], [4], [5]], [52, 59, 66, 73, 80]
net = mm.Regressor(
    "linear",
    data=mm.Data(batch_size=None, preprocess=None),
    optimizer=mm.Optimizer("sgd", lr=0.01),
    loop=mm.Loop(epochs=1000),
    random_state=42,
)

# Without an optimizer: gradients are there, and nobody uses them.
training = net.manual(hours, score)
for epoch in range(3):
    for X, y in training.data:
        loss = training.loss(training.model(X), y)
        training.model.zero_grad()
        loss.backward()
    weight = training.model.weight
    print(f"no optimizer, epoch {epoch}: loss {loss:.4f}, gradient {weight.grad.item():.2f}")

# Without a loss: five predictions, and no number that says how wrong they are.
training = net.manual(hours, score)
prediction = training.model(training.data.X)
try:
    prediction.backward()
except RuntimeError as error:
    print(f"no loss: {error}")

# With any other number in its place, training works towards that number instead.
training = net.manual(hours, score)
training.loss = lambda prediction, target: prediction.square().mean()  # never looks at the target
training.run(epochs=1000)
print(f"a loss that ignores the scores: six hours are {training.automatic().predict([[6]])[0]:.2f}")
