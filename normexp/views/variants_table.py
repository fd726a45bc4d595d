"""The list of variants: name, equation, paper, and what each was checked against."""

import itertools

from rich.cells import cell_len, set_cell_size
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from normexp.config.compose import Composer
from normexp.errors import ConfigError
from normexp.model.variant import Variant
from normexp.papers import citations, papers_of

COLUMNS = ("variant", "equation", "paper", "verified")
OTHERS = "others"  # a user's own
FAMILIES = {
    "Post-LN": "post_ln admin admin_constant b2t branch_norm deep_norm keel mv_split ngpt recursive_skip scaled_skip "
    "span_norm",
    "Pre-LN": "pre_ln deep_delta deep_scale first_norm_free layer_norm_scaling layer_scale macaron orthogonal_update "
    "parallel t5",
    "norm on branch outputs": "norm_former peri_ln res_post_norm sandwich sub_ln swin_v2",
    "different by layer": "hybrid_norm hybrid_norm_star mix_ln per_stack",
    "no norm": "no_norm fixup re_zero skip_init t_fixup",
    "no skip connection": "no_residual plain skipless",
    "several streams": "frac_connections hyper_connections identity_hyper_connections mhc mhc_lite resi_dual "
    "siamese_norm static_hyper_connections",
    "reads earlier layers": "attention_residuals block_attention_residuals dense_former dlcl_post dlcl_pre "
    "value_residual x0_lambdas",
}


def list_variants(composer: Composer, word: str = "") -> RenderableType:
    """One line per variant that the config folders offer, by family: name, equation, paper, what it was checked by.

    A terminal gets a table whose papers are links, with as many columns as fit into a line each; anything else gets all
    columns, the family and the addresses last. word: only variants whose name, equation, papers or family contain it.
    Raises ConfigError if there is none.
    """
    places = {name: place for place, name in enumerate(" ".join(FAMILIES.values()).split())}
    offered = sorted(composer.options("variant"), key=lambda name: places.get(name, len(places)))
    rows = {name: _class_of(composer, name) for name in offered}
    rows = {name: variant for name, variant in rows.items() if word.casefold() in _searched(name, variant).casefold()}
    if not rows:
        raise ConfigError(
            f"no variant has {word!r} in its name, equation, papers or family; normexp variants lists all"
        )
    console = Console()
    return _linked_table(rows, console.width) if console.is_terminal else _lines(rows)


def _searched(name: str, variant: type[Variant]) -> str:
    titles = (f"{paper.citation} {paper.title}" for paper in papers_of(variant.paper))
    return " ".join((name, variant.equation, *titles, variant.verified, family_of(name)))


def family_of(name: str) -> str:
    """The family of a variant, by its name."""
    return next((family for family, names in FAMILIES.items() if name in names.split()), OTHERS)


def _class_of(composer: Composer, name: str) -> type[Variant]:
    """The class of a variant. One that cannot be loaded becomes a row that says why, so that it hides no other."""
    try:
        found: type[Variant] = composer.choice("variant", name).cls
    except ConfigError as error:
        found = type(name, (Variant,), {"equation": f"cannot be loaded: {error}"})
    return found


def _linked_table(variants: dict[str, type[Variant]], width: int) -> Table:
    """Name and equation, cut off where the line ends; the paper and what was checked where all of it fits."""
    rows = []
    for name, variant in variants.items():
        cited = Text(", ").join(Text(p.citation, f"link {p.link}" if p.link else "") for p in papers_of(variant.paper))
        link = next((paper.link for paper in papers_of(variant.paper) if paper.link), "")
        named = Text("  ").append(name, f"link {link}" if link else "")
        rows.append((named, Text(variant.equation), cited, Text(variant.verified)))
    widths = [max(row[place].cell_len for row in rows) + 2 for place in range(len(COLUMNS))]
    shown = max((count for count in (4, 3) if sum(widths[:count]) <= width), default=2)
    rest = "Papers: normexp show variant=NAME, or normexp variants | less -S" if shown < len(COLUMNS) else None
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold", caption=rest, caption_justify="left")
    fits = sum(widths[:shown]) <= width
    for column in COLUMNS[:shown]:
        cut = widths[0] - 2 if column == "variant" else None if fits else max(20, width - widths[0] - 2)
        table.add_column(column, no_wrap=True, overflow="ellipsis", width=cut)
    for family, some in itertools.groupby(zip(variants, rows, strict=True), key=lambda each: family_of(each[0])):
        table.add_row(Text(family, "bold"))
        for _, row in some:
            table.add_row(*row[:shown])
    return table


def _lines(variants: dict[str, type[Variant]]) -> str:
    rows = [(*COLUMNS, "family", "link")]
    for name, variant in variants.items():
        links = " ".join(paper.link for paper in papers_of(variant.paper))
        rows.append((name, variant.equation, citations(variant.paper), variant.verified, family_of(name), links))
    widths = [max(map(cell_len, column)) for column in zip(*rows, strict=True)]
    padded = ("  ".join(set_cell_size(*cell) for cell in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in padded)
