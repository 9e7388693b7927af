"""scikit-learn only: preprocessing in a pipeline, search, scores on rows held out."""

import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import classification_report
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score, train_test_split
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import LabelEncoder, OneHotEncoder, StandardScaler

X, y = load_iris(return_X_y=True, as_frame=True)
X["large"] = (X["petal width (cm)"] > 1).map({True: "yes", False: "no"})
y = LabelEncoder().fit_transform(y.map({0: "setosa", 1: "versicolor", 2: "virginica"}))
X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=0)

numbers = X.columns[:4]
prepare = ColumnTransformer(
    [
        ("numbers", StandardScaler(), numbers),
        ("text", OneHotEncoder(sparse_output=False, handle_unknown="ignore"), ["large"]),
    ]
)
model = Pipeline([("prepare", prepare), ("classify", LogisticRegression(max_iter=1000))])
search = GridSearchCV(model, {"classify__C": [0.1, 1.0]}, cv=3).fit(X_train, y_train)
print(classification_report(y_test, search.predict(X_test)))

forest = make_pipeline(prepare, RandomForestClassifier(n_estimators=10, random_state=0))
folds = KFold(n_splits=5, shuffle=True, random_state=0)
print(cross_val_score(forest, X, y, cv=folds).mean())

# looked at as a whole, and never split again
rows = []
rows.append(dict(zip(numbers, StandardScaler().fit(X[numbers]).mean_, strict=True)))
print(pd.DataFrame(rows).to_string())
