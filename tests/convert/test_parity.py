"""Every covered estimator says what scikit-learn says, on rows that it has not seen."""

import pytest
import torch
from suite import DATA, agrees, all_cases, data_sets

RUNS = [
    pytest.param(case, kind, name, id=f"{family}-{case}-{kind}-{name}")
    for family, cases in all_cases().items()
    for case in cases
    for kind in case.kinds
    for name in DATA[kind]
]
FIRST = [run for run in RUNS if run.values[2] == next(iter(DATA[run.values[1]]))]
OTHERS = [run for run in RUNS if run not in FIRST]


@pytest.mark.parametrize(("case", "kind", "name"), FIRST)
def test_parity(case, kind, name):
    agrees(case, kind, name)


@pytest.mark.slow
@pytest.mark.parametrize(("case", "kind", "name"), OTHERS)
def test_parity_on_the_other_data(case, kind, name):
    agrees(case, kind, name)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of torch.export's own making
@pytest.mark.parametrize(("case", "kind", "name"), FIRST)
def test_exports_with_any_number_of_rows(case, kind, name):
    _, _, module = agrees(case, kind, name)
    _, _, held = data_sets(kind, name)
    rows = module.encode(held)
    program = torch.export.export(
        module, (rows[:4],), dynamic_shapes=({0: torch.export.Dim.DYNAMIC},)
    )
    for n in (1, 2, 33):
        torch.testing.assert_close(
            program.module()(rows[:n]), module(rows[:n]), rtol=1e-10, atol=1e-10, equal_nan=True
        )
