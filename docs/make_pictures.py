"""Draw the pictures of these pages: python docs/make_pictures.py."""

from pathlib import Path

from sklearn.datasets import load_digits

import manumatic as mm

FOLDER = Path(__file__).parent / "pictures"
HOURS, SCORE = [[1], [2], [3], [4], [5]], [52, 59, 66, 73, 80]


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    net = mm.Regressor(
        "linear",
        data=mm.Data(batch_size=None, preprocess=None),
        optimizer=mm.Optimizer("sgd", lr=0.01),
        loop=mm.Loop(epochs=1000),
        random_state=42,
        watch=mm.Watch(track=["weight", "bias"]),
    ).fit(HOURS, SCORE)
    X, y = load_digits(return_X_y=True)
    cnn = mm.Classifier(
        "cnn", data=mm.Data(validation=0.2), loop=mm.Loop(12, keep="best"), random_state=0
    ).fit(X.reshape(-1, 8, 8), y)
    pictures = {
        "loss_curve": mm.LossCurveDisplay.from_estimator(cnn),
        "trajectory": mm.WeightTrajectoryDisplay.from_estimator(net, HOURS, SCORE),
        "graph": mm.GraphDisplay.from_estimator(cnn),
        "sweep": mm.sweep(net, HOURS, SCORE, lr=[0.1, 0.01, 0.001]),
    }
    for name, picture in pictures.items():
        (FOLDER / f"{name}.svg").write_text(picture.svg() + "\n", encoding="utf-8")
        print(FOLDER / f"{name}.svg")


if __name__ == "__main__":
    main()
