import math
from dataclasses import fields, replace

import pyarrow as pa
import pytest
from simulated_run import record

from titan_repro.records.rounds import SCHEMA, RoundRecord, to_table


def test_schema_has_the_fields_of_the_record_in_order() -> None:
    assert SCHEMA.names == [field.name for field in fields(RoundRecord)]


def test_a_table_gives_back_what_was_recorded() -> None:
    records = [record(0, loss=math.inf), record(7), replace(record(8), trained_noisy=[])]
    table = to_table(records)
    assert table.schema == SCHEMA
    for row, expected in zip(table.to_pylist(), records, strict=True):
        for name, value in vars(expected).items():
            assert row[name] == pytest.approx(value, rel=1e-7)


def test_no_records_are_an_empty_table() -> None:
    assert to_table([]).equals(SCHEMA.empty_table())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("trained_indices", [2**31]),
        ("trained_labels", [2**15]),
        ("trained_noisy", [0.5]),
        ("candidates", "30"),
    ],
)
def test_values_that_do_not_fit_their_column_are_refused(name: str, value: object) -> None:
    with pytest.raises((pa.ArrowException, OverflowError)):
        to_table([replace(record(0), **{name: value})])
