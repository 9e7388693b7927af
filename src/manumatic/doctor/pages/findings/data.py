"""Findings about data (MM1xx)."""

__all__ = ["DATA"]

from manumatic.doctor.pages.findings.page import FindingPage

DATA: dict[str, FindingPage] = {
    "MM101": FindingPage(
        meaning="""
One learning rate has to suit every weight. Where one column counts in hundreds and another in
tenths, a step that is right for the second throws the first far over its goal, and the loss
stays up or becomes NaN. PyTorch scales nothing and says nothing. In the program below the same
network learns nothing from the wine table as it is (39% of the rows held out are right, with
three classes), and gets all of them right once its columns are standardised.
""",
        seen="""
Before the first step, where manumatic has not chosen the preprocessing itself: the standard
deviations of two columns differ by more than 100 times, or a number in X is beyond 100. Columns
of two values, columns that are mostly zero, models with an embedding and models that begin with
a batch norm are left out. Of a target: its standard deviation is above 10, under a loss for
numbers.
""",
        automatic="""
It scales the columns (median 0, quartiles 1 apart, outliers squeezed) and standardises the
target of a regression, fitted on the training rows only and kept with the model. logbook_ has
the rows.
""",
        fix="""
X_train = (X_train - X_train.mean(0)) / X_train.std(0)  # or StandardScaler in a Pipeline
""",
        ignoring="""
When the first layer is a batch norm that does the scaling, or the columns are numbers of
categories that an embedding looks up.
""",
        code="""
import torch
from sklearn.datasets import load_wine
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from torch import nn

X, y = load_wine(return_X_y=True)
print(f"{X[:, 4].max():.0f} {X[:, 7].max():.2f}")  # 162 0.66: the largest values of two columns
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.3, stratify=y, random_state=0)
labels = torch.tensor(y_train)


def train(rows, test_rows):
    torch.manual_seed(0)
    rows, test_rows = torch.tensor(rows).float(), torch.tensor(test_rows).float()
    model = nn.Sequential(nn.Linear(13, 16), nn.ReLU(), nn.Linear(16, 3))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for epoch in range(100):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(rows), labels)
        loss.backward()
        optimizer.step()
    right = (model(test_rows).argmax(1) == torch.tensor(y_test)).float().mean()
    return f"loss {loss.item():.1f}, {right:.0%} right"


print(train(X_train, X_test))  # loss 1.1, 39% right
scaler = StandardScaler().fit(X_train)  # of the training rows only
print(train(scaler.transform(X_train), scaler.transform(X_test)))  # loss 0.1, 100% right
""",
    ),
    "MM102": FindingPage(
        meaning="""
NumPy counts in float64, networks are float32, and class numbers must be int64. PyTorch converts
nothing by itself: it stops with "mat1 and mat2 must have the same dtype" or "expected target
dtype to be Long or Byte, but got Int". Casting to float32 costs nothing worth keeping: it rounds
by at most one part in 16 million (6e-8).
""",
        seen="""
Before the first step: X has another type than the weights, the model does not take it, and takes
it once it is cast; or y has another type than the loss takes (int64 for cross entropy, else that
of the weights).
""",
        automatic="""
X becomes float32 at the door, class numbers int64, other targets float32 in the shape of the
outputs.
""",
        fix="""
X, y = torch.tensor(X, dtype=torch.float32), torch.tensor(y, dtype=torch.long)
""",
        ignoring="When the model is float64 on purpose, as in physics.",
        code="""
import numpy as np
import torch
from torch import nn

X = np.random.default_rng(0).normal(size=(8, 2))  # float64
y = np.array([0, 1] * 4, dtype=np.int32)
model, loss_fn = nn.Linear(2, 2), nn.CrossEntropyLoss()


def attempt(rows, target):
    try:
        return loss_fn(model(rows), target).dtype
    except RuntimeError as error:
        return error


X, y = torch.from_numpy(X), torch.from_numpy(y)
print(attempt(X, y))  # mat1 and mat2 must have the same dtype, but got Double and Float
print(attempt(X.float(), y))  # expected target dtype to be Long or Byte, but got Int
print(attempt(X.float(), y.long()))  # torch.float32
print((X.float() - X).abs().max().item() / X.abs().max().item() < 6e-8)  # True: what it cost
""",
    ),
    "MM103": FindingPage(
        meaning="""
Cross entropy reads the target as the number of an output: 0 to K-1. Labels 1, 2, 3 for three
outputs stop with "Target 3 is out of bounds" (on a GPU with an assertion that ends the process);
for five outputs they train, two of which stand for nothing. The silent case is one output: the
softmax of one number is always 1, so the loss is 0.0 from the first step and no weight ever
moves.
""",
        seen="""
Before the first step, under cross entropy: labels outside 0 to K-1 for K outputs, labels as a
column (n, 1), or several classes beside one output. Under a binary cross entropy: targets outside
0 to 1.
""",
        automatic="""
It numbers the labels, whatever they are (strings, 1 to 3, True and False), keeps them in classes_,
and predict gives them back. A model with the wrong number of outputs is refused in one sentence.
""",
        fix="""
classes, y = np.unique(y, return_inverse=True)  # and out_features=len(classes)
""",
        ignoring="When the outputs wait for classes that are not in these rows.",
        code="""
import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy

torch.manual_seed(0)
X, labels = torch.randn(9, 4), np.array([1, 2, 3] * 3)
try:
    cross_entropy(nn.Linear(4, 3)(X), torch.tensor(labels))
except IndexError as error:
    print(error)  # Target 3 is out of bounds.

# one output, and a target in its shape: no error, and nothing to learn
model, target = nn.Linear(4, 1), torch.tensor(labels % 2).float()[:, None]
loss = cross_entropy(model(X), target)
loss.backward()
print(abs(loss.item()), model.weight.grad.abs().max().item())  # 0.0 0.0

classes, codes = np.unique(labels, return_inverse=True)
model = nn.Linear(4, len(classes))
loss = cross_entropy(model(X), torch.tensor(codes))
loss.backward()
print(loss.item() > 0.5, model.weight.grad.abs().max().item() > 0.05)  # True True
print(classes[model(X).argmax(1)].min() >= 1)  # True: predictions in the labels you had
""",
    ),
    "MM104": FindingPage(
        meaning="""
torch.manual_seed sets torch's global stream of random numbers, and only that. What NumPy or
Python draws comes from elsewhere: weights that are drawn with np.random differ from run to run
under the same seed. And everybody draws from the one stream, a pass over a DataLoader too,
shuffled or not: in the program below a run ends at a weight of 0.825 or of 0.916, depending on
whether somebody went through the validation rows in between. Runs cannot be compared then, and
nobody is told why.
""",
        seen="""
When `mm.diagnose` is asked and the model is given as a class or function: it is built twice from
one seed of torch, and a weight differs.
""",
        automatic="""
One random_state decides initial weights, split, order of the batches and dropout, each through a
generator of its own; the global stream is neither read nor moved. Watching changes no weight.
""",
        fix="""
weight = torch.randn(rows, columns)  # not np.random; loaders: generator=torch.Generator()
""",
        ignoring="When you average over many seeds anyway.",
        code="""
import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def build(draw):
    torch.manual_seed(0)
    return torch.as_tensor(draw(4, 3))


print(torch.equal(build(np.random.randn), build(np.random.randn)))  # False
print(torch.equal(build(torch.randn), build(torch.randn)))  # True


def train(watched, generators):
    torch.manual_seed(0)
    X = torch.randn(64, 3)
    y = X.sum(1, keepdim=True) + torch.randn(64, 1)
    model = nn.Linear(3, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for_training, for_looking = (
        DataLoader(TensorDataset(X, y), 8, shuffle=shuffle, generator=generator)
        for shuffle, generator in zip((True, False), generators)
    )
    for epoch in range(3):
        for rows, target in for_training:
            optimizer.zero_grad()
            nn.functional.mse_loss(model(rows), target).backward()
            optimizer.step()
        if watched:
            for rows, target in for_looking:
                model(rows)
    return f"{model.weight[0, 0].item():.3f}"


print(train(False, (None, None)))  # 0.825
print(train(True, (None, None)))  # 0.916: somebody looked


def own():
    return torch.Generator().manual_seed(1), torch.Generator().manual_seed(2)


print(train(False, own()) == train(True, own()))  # True
""",
    ),
    "MM105": FindingPage(
        meaning="""
One missing value in one row makes the loss NaN, its gradient NaN, and after the first step all
weights that it reaches. PyTorch goes on without an error, and every prediction from then on is
NaN. Text cannot become a tensor at all and stops with a TypeError. In the program below 1 cell
of 600 is missing, and all 3 weights are lost.
""",
        seen="""
Before the first step: a value of X or y is NaN or infinite. The message counts them and names the
columns and the first row.
""",
        automatic="""
Missing numbers get the median of the training rows and a column that says so, categories become
one-hot or target means, text becomes topics; each is a row in logbook_. Infinite values are an
error that names the column.
""",
        fix="""
pipe = make_pipeline(SimpleImputer(strategy="median", add_indicator=True), StandardScaler(), net)
""",
        ignoring="When your model reads NaN itself, as one that masks missing inputs does.",
        code="""
import numpy as np
import torch
from sklearn.impute import SimpleImputer
from torch import nn

draw = np.random.default_rng(0)
X = draw.normal(size=(200, 3))
y = X @ [1.0, 2.0, 3.0]
X[17, 0] = np.nan  # one of 600


def train(X):
    torch.manual_seed(0)
    rows, target = torch.tensor(X).float(), torch.tensor(y).float()[:, None]
    model = nn.Linear(3, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for epoch in range(100):
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(rows), target)
        loss.backward()
        optimizer.step()
    return f"loss {loss.item():.3f}, {model.weight.isnan().sum()} of 3 weights lost"


print(train(X))  # loss nan, 3 of 3 weights lost
print(train(SimpleImputer(strategy="median").fit_transform(X)))  # loss 0.006, 0 of 3 weights lost
""",
    ),
}
