"""One colour means one thing: variants, other keys and numbers have palettes that share no colour."""

import pandas as pd

from normexp.views.grid import colours
from normexp.views.palette import COLOURS, KNOWN, OTHERS, VARIANTS, line_styles


def test_variants_of_the_user_never_look_like_the_packages() -> None:
    own = [f"mine_{number}" for number in range(30)]
    styles = line_styles([*VARIANTS, *own])
    assert len(set(styles.values())) == len(VARIANTS) + len(own)
    assert line_styles(["mine"])["mine"] not in line_styles(VARIANTS).values()


def test_other_keys_have_none_of_the_variants_colours() -> None:
    assert not set(COLOURS) & set(OTHERS)
    frame = pd.DataFrame({"stack": ["decoder", "encoder"], "init": ["small", "mine"], "change": ["default", "no norm"]})
    for key in frame:
        assert {style.colour for style in colours(frame, str(key)).values()} <= set(OTHERS)


def test_known_values_keep_their_colour_in_every_figure() -> None:
    alone = colours(pd.DataFrame({"stack": ["decoder"]}), "stack")
    both = colours(pd.DataFrame({"stack": ["encoder", "decoder"]}), "stack")
    assert alone["decoder"] == both["decoder"] != both["encoder"]
    mixed = colours(pd.DataFrame({"init": ["mine", KNOWN["init"][1]]}), "init")
    assert mixed[KNOWN["init"][1]].colour == OTHERS[1]


def test_numbers_go_from_dark_to_light() -> None:
    styles = colours(pd.DataFrame({"lr": [3e-3, 1e-3, 2e-3]}), "lr")
    assert list(styles) == [1e-3, 2e-3, 3e-3]
    lightness = [sum(int(style.colour[at : at + 2], 16) for at in (1, 3, 5)) for style in styles.values()]
    assert lightness == sorted(lightness)
    assert not {style.colour for style in styles.values()} & {*COLOURS, *OTHERS}
