"""Numbers are written the same everywhere, and so that neither a minus nor a zero can be mistaken."""

import pytest

from homeostat.report import words


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.8683, "0.868"),
        (1.0, "1.000"),
        (0.0, "0.000"),
        (-0.25, "−0.250"),
        (-0.0001 * 0, "0.000"),
        (12.345, "12.35"),
        (123.456, "123.5"),
        (12345.6, "12,346"),
        (0.0117, "0.0117"),
        (0.00123, "0.00123"),
        (None, "–"),
        (float("nan"), "–"),
    ],
)
def test_numbers(value, text):
    assert words.number(value) == text


def test_a_tiny_negative_is_not_minus_zero():
    assert words.number(-0.0001, like=0.5) == "0.000"


def test_both_ends_of_an_interval_have_the_same_decimals():
    assert words.interval(0.00505, 0.052) == "0.005 to 0.052"
    assert words.interval(-0.0134, 0.083) == "−0.013 to 0.083"
    assert words.interval(None, 1.0) == ""
    assert words.interval(0.0063, 0.0138, like=0.0099) == "0.0063 to 0.0138"


def test_p_values_are_never_zero():
    assert words.p_value(1e-9) == "< 0.001"
    assert words.p_value(0.034) == "0.034"
    assert words.p_value(None) == ""


def test_counts_and_lists_read_as_sentences():
    assert words.count(1, "positive") == "1 positive"
    assert words.count(4000, "patient") == "4,000 patients"
    assert words.listed(["a"]) == "a"
    assert words.listed(["a", "b", "c"]) == "a, b and c"
    assert words.listed([]) == ""


def test_names_of_scores():
    assert words.label("auroc") == "AUROC"
    assert words.label("rmse at 0-20 % of the span") == "RMSE at 0-20 % of the span"
    assert words.label("something new") == "Something new"


def test_html_is_escaped():
    assert words.escape('<a href="x">&') == "&lt;a href=&quot;x&quot;&gt;&amp;"


def test_moments():
    assert words.moment("2026-11-20T10:31:40.123+00:00") == "2026-11-20 10:31"


@pytest.mark.parametrize("letter", [chr(k) for k in (0, 7, 8, 27, 127, 0x9B, 0x202E, 0x2066, 0x200F, 0xFEFF)])
def test_what_commands_a_terminal_or_turns_the_text_is_shown(letter):
    shown = words.escape(f"a{letter}b")
    assert letter not in shown
    assert shown.startswith("a")
    assert shown.endswith("b")
    assert len(shown) > 2


def test_half_a_letter_can_be_written():
    """JSON may hold a lone surrogate, which no file in UTF-8 can."""
    words.escape("\ud83d").encode()


def test_a_name_from_right_to_left_keeps_to_itself():
    assert words.escape("\u05d3\u05e0\u05d4: 12") == "\u2068\u05d3\u05e0\u05d4\u2069: 12"
    assert words.escape("Zürich 12") == "Zürich 12"


def test_a_long_name_keeps_its_ends():
    shown = words.short("a" * 500 + "z7", 40)
    assert len(shown) == 40
    assert shown.startswith("aaa")
    assert shown.endswith("z7")
    assert words.short("D1", 40) == "D1"


@pytest.mark.parametrize(
    ("levels", "expected"),
    [
        (
            ["50 to 64", "65 to 79", "80 and above", "below 50", "unknown"],
            ["below 50", "50 to 64", "65 to 79", "80 and above", "unknown"],
        ),
        (["10-20", "100-200", "20-100", "<10", ">200"], ["<10", "10-20", "20-100", "100-200", ">200"]),
        (["65 to 79", "above 79", "below 65"], ["below 65", "65 to 79", "above 79"]),
        (["male", "female"], ["male", "female"]),
        (["unknown", "medical", "cardiac"], ["medical", "cardiac", "unknown"]),
    ],
)
def test_bands_come_in_their_order(levels, expected):
    assert words.in_order(levels) == expected


def test_both_p_values_stand_together():
    assert words.p_values(0.0123, 0.0369) == "0.012, corrected 0.037"
    assert words.p_values(0.0123) == "0.012"
