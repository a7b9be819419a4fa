"""Rows as tables and as CSV."""

from spikeseg.evaluation.text import cell, csv_text, text_table


def test_columns_are_as_wide_as_what_is_in_them():
    lines = text_table(["", "F1", "recall"], [["a long title", "0.500 [0.1, 0.2]", "-"], ["b", "-", "0.100"]]).splitlines()
    assert len(lines) == 3 and lines[0].index("F1") == lines[1].index("0.500") == lines[2].index("-")
    assert lines[0].index("recall") == lines[1].index("-") == lines[2].index("0.100")
    assert all(line == line.rstrip() for line in lines)


def test_figures_are_shown_as_they_are_given():
    """No digit is added or taken away by the table."""
    assert text_table(["x"], [["0.500"], ["1e3"], ["007"]]).split() == ["x", "0.500", "1e3", "007"]


def test_a_cell_has_three_digits_and_counts_have_none():
    assert [cell(None), cell(3), cell(0.12345), cell(0.5, [0.25, 0.75])] == ["-", "3", "0.123", "0.500 [0.250, 0.750]"]
    assert cell(None, [0.0, 1.0]) == "-" and cell(0.5, None) == "0.500"


def test_csv_keeps_every_digit_and_leaves_none_empty():
    assert csv_text(("a", "b"), [(0.1 + 0.2, None), ('with "quotes", and', 1)]) == (
        'a,b\n0.30000000000000004,\n"with ""quotes"", and",1\n'
    )


def test_a_cell_of_a_great_figure_stays_narrow():
    assert [cell(9999.4), cell(10_000.0), cell(159_423.0, [82_944_000.0, 1e9])] == [
        "9999.400",
        "1e+04",
        "1.59e+05 [8.29e+07, 1e+09]",
    ]
