"""Pairs of bodyparts that the names tell, and what they do not tell."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pawjax.data.sides import guess_sides


@pytest.mark.parametrize(
    "left, right",
    [
        ("leftear", "rightear"),
        ("Left_Ear", "right-ear"),
        ("earLeft", "earRight"),
        ("ear_L", "ear_R"),
        ("l_ear", "r_ear"),
        ("earL", "earR"),
        ("LEar", "REar"),
        ("Lear", "Rear"),
        ("earL1", "earR1"),
        ("paw_l", "paw_r"),
        ("pawLF", "pawRF"),
        ("lh_paw", "rh_paw"),
        ("FL", "FR"),
        ("paw_hl", "paw_hr"),
        ("left_eye_right_corner", "right_eye_left_corner"),
        ("oreille.gauche.left é", "oreille.gauche.right é"),
    ],
)
def test_pairs_are_found(left, right):
    for names in ((left, right), (right, left), ("snout", left, "tailbase", right)):
        guess = guess_sides(names)
        assert guess.pairs == ((left, right),) and not guess.alone and not guess.ambiguous


@pytest.mark.parametrize(
    "names",
    [
        ("snout", "tailbase"),
        ("lip", "rip"),
        ("Lumbar", "Rib"),
        ("ear1", "ear2"),
        ("level", "revel"),
        ("lr_mid", "x"),
    ],
)
def test_nothing_is_found_where_there_are_no_sides(names):
    assert guess_sides(names) == ((), (), ())


def test_one_side_alone():
    assert guess_sides(("snout", "left_forepaw")) == ((), ("left_forepaw",), ())
    assert guess_sides(("paw1LH", "paw4RH")) == ((), ("paw1LH", "paw4RH"), ())
    assert guess_sides(("left_ear", "left_eye", "right_eye")).alone == ("left_ear",)


def test_ambiguous_names_are_no_pair():
    guess = guess_sides(("left_ear", "l_ear", "r_ear", "left_eye", "right_eye"))
    assert guess.ambiguous == ("left_ear", "l_ear", "r_ear") and guess.pairs == (("left_eye", "right_eye"),)


@given(st.lists(st.text(max_size=8), unique=True, max_size=8))
def test_each_name_has_at_most_one_place(names):
    guess = guess_sides(names)
    said = [*(name for pair in guess.pairs for name in pair), *guess.alone, *guess.ambiguous]
    assert len(said) == len(set(said)) and set(said) <= set(names)


@given(st.text("abLRlr_1", max_size=6), st.text("abLRlr_1", max_size=6))
def test_words_for_the_sides_make_a_pair_in_any_name(before, after):
    left, right = (f"{before}_{word}_{after}" for word in ("left", "right"))
    guess = guess_sides((left, right))
    if not guess.ambiguous and not guess.alone:
        assert {*guess.pairs[0]} == {left, right}
