"""Every paper, report and repository that the project cites, each of them once.

Variants, norms and initialisers refer to a paper by its key. Where two papers share first author and year, key and
citation name what the paper proposes.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Paper:
    """One source: `authors` as running text cites them, `link` to arXiv, to the publisher or to the code.

    name: what the paper proposes; given only where another paper has the same first author and year.
    """

    key: str
    authors: str
    year: int
    title: str
    link: str
    name: str = ""

    @property
    def citation(self) -> str:
        """For example "Vaswani et al. 2017"."""
        return f"{self.authors} {self.year}" + (f" ({self.name})" if self.name else "")


def _arxiv(number: str) -> str:
    return f"https://arxiv.org/abs/{number}"


_ALL = (
    Paper("ba2016", "Ba et al.", 2016, "Layer Normalization", _arxiv("1607.06450")),
    Paper(
        "bachlechner2020",
        "Bachlechner et al.",
        2020,
        "ReZero is All You Need: Fast Convergence at Large Depth",
        _arxiv("2003.04887"),
    ),
    Paper(
        "chen2025",
        "Chen et al.",
        2025,
        "GPAS: Accelerating Convergence of LLM Pretraining via Gradient-Preserving Activation Scaling",
        _arxiv("2506.22049"),
    ),
    Paper("chen2026", "Chen & Wei", 2026, "Post-LayerNorm Is Back: Stable, ExpressivE, and Deep", _arxiv("2601.19895")),
    Paper(
        "chen2026_prores",
        "Chen et al.",
        2026,
        "Progressive Residual Warmup for Language Model Pretraining",
        _arxiv("2603.05369"),
        name="ProRes",
    ),
    Paper(
        "chowdhery2022",
        "Chowdhery et al.",
        2022,
        "PaLM: Scaling Language Modeling with Pathways",
        _arxiv("2204.02311"),
    ),
    Paper(
        "cohen2021",
        "Cohen et al.",
        2021,
        "Gradient Descent on Neural Networks Typically Occurs at the Edge of Stability",
        _arxiv("2103.00065"),
    ),
    Paper(
        "cohen2022",
        "Cohen et al.",
        2022,
        "Adaptive Gradient Methods at the Edge of Stability",
        _arxiv("2207.14484"),
    ),
    Paper(
        "csordas2025",
        "Csordás et al.",
        2025,
        "Do Language Models Use Their Depth Efficiently?",
        _arxiv("2505.13898"),
    ),
    Paper(
        "de2020",
        "De & Smith",
        2020,
        "Batch Normalization Biases Residual Blocks Towards the Identity Function in Deep Networks",
        _arxiv("2002.10444"),
    ),
    Paper(
        "devlin2018",
        "Devlin et al.",
        2018,
        "BERT: Pre-training of Deep Bidirectional Transformers for Language Understanding",
        _arxiv("1810.04805"),
    ),
    Paper(
        "ding2021",
        "Ding et al.",
        2021,
        "CogView: Mastering Text-to-Image Generation via Transformers",
        _arxiv("2105.13290"),
    ),
    Paper(
        "dong2021",
        "Dong et al.",
        2021,
        "Attention is Not All You Need: Pure Attention Loses Rank Doubly Exponentially with Depth",
        _arxiv("2103.03404"),
    ),
    Paper(
        "glorot2010",
        "Glorot & Bengio",
        2010,
        "Understanding the difficulty of training deep feedforward neural networks",
        "https://proceedings.mlr.press/v9/glorot10a.html",
    ),
    Paper(
        "gorishniy2021",
        "Gorishniy et al.",
        2021,
        "Revisiting Deep Learning Models for Tabular Data",
        _arxiv("2106.11959"),
    ),
    Paper(
        "gromov2024",
        "Gromov et al.",
        2024,
        "The Unreasonable Ineffectiveness of the Deeper Layers",
        _arxiv("2403.17887"),
    ),
    Paper("he2016", "He et al.", 2016, "Identity Mappings in Deep Residual Networks", _arxiv("1603.05027")),
    Paper(
        "hu2024",
        "Hu et al.",
        2024,
        "MiniCPM: Unveiling the Potential of Small Language Models with Scalable Training Strategies",
        _arxiv("2404.06395"),
    ),
    Paper(
        "huang2020",
        "Huang et al.",
        2020,
        "Improving Transformer Optimization Through Better Initialization",
        "https://proceedings.mlr.press/v119/huang20f.html",
    ),
    Paper("hunyuan2026", "Tencent Hunyuan", 2026, "Hy4 preview", "https://github.com/Tencent-Hunyuan/Hy4-preview"),
    Paper(
        "ioffe2015",
        "Ioffe & Szegedy",
        2015,
        "Batch Normalization: Accelerating Deep Network Training by Reducing Internal Covariate Shift",
        _arxiv("1502.03167"),
    ),
    Paper(
        "jordan2024",
        "Jordan et al.",
        2024,
        "Muon: An Optimizer for Hidden Layers in Neural Networks",
        "https://kellerjordan.github.io/posts/muon/",
    ),
    Paper(
        "karpathy2025",
        "Karpathy",
        2025,
        "nanochat: The best ChatGPT that $100 can buy",
        "https://github.com/karpathy/nanochat",
    ),
    Paper(
        "kedia2024",
        "Kedia et al.",
        2024,
        "Transformers Get Stable: An End-to-End Signal Propagation Theory for Language Models",
        _arxiv("2403.09635"),
    ),
    Paper(
        "kim2025",
        "Kim et al.",
        2025,
        "Peri-LN: Revisiting Normalization Layer in the Transformer Architecture",
        _arxiv("2502.02732"),
    ),
    Paper("kimi2026", "Kimi Team", 2026, "Attention Residuals", _arxiv("2603.15031")),
    Paper(
        "li2024",
        "Li et al.",
        2024,
        "Mix-LN: Unleashing the Power of Deeper Layers by Combining Pre-LN and Post-LN",
        _arxiv("2412.13795"),
    ),
    Paper(
        "li2026",
        "Li et al.",
        2026,
        "SiameseNorm: Breaking the Barrier to Reconciling Pre/Post-Norm",
        _arxiv("2602.08064"),
    ),
    Paper("liu2020", "Liu et al.", 2020, "Understanding the Difficulty of Training Transformers", _arxiv("2004.08249")),
    Paper(
        "liu2021",
        "Liu et al.",
        2021,
        "Rethinking Skip Connection with Layer Normalization in Transformers and ResNets",
        _arxiv("2105.07205"),
    ),
    Paper(
        "liu2022_admin_torch",
        "Liu et al.",
        2022,
        "admin-torch: a PyTorch implementation of Admin",
        "https://github.com/microsoft/admin-torch",
        name="admin-torch",
    ),
    Paper(
        "liu2022_swin_v2",
        "Liu et al.",
        2022,
        "Swin Transformer V2: Scaling Up Capacity and Resolution",
        _arxiv("2111.09883"),
        name="Swin Transformer V2",
    ),
    Paper(
        "liu2023",
        "Liu et al.",
        2023,
        "BranchNorm: Robustly Scaling Extremely Deep Transformers",
        _arxiv("2305.02790"),
    ),
    Paper("liu2025", "Liu et al.", 2025, "Muon is Scalable for LLM Training", _arxiv("2502.16982")),
    Paper(
        "loshchilov2017",
        "Loshchilov & Hutter",
        2017,
        "SGDR: Stochastic Gradient Descent with Warm Restarts",
        _arxiv("1608.03983"),
    ),
    Paper(
        "loshchilov2024",
        "Loshchilov et al.",
        2024,
        "nGPT: Normalized Transformer with Representation Learning on the Hypersphere",
        _arxiv("2410.01131"),
    ),
    Paper(
        "lu2019",
        "Lu et al.",
        2019,
        "Understanding and Improving Transformer From a Multi-Particle Dynamic System Point of View",
        _arxiv("1906.02762"),
    ),
    Paper(
        "lu2026",
        "Lu",
        2026,
        "Mean Mode Screaming: Mean–Variance Split Residuals for 1000-Layer Diffusion Transformers",
        _arxiv("2605.06169"),
    ),
    Paper(
        "nguyen2018",
        "Nguyen & Chiang",
        2018,
        "Improving Lexical Choice in Neural Machine Translation",
        _arxiv("1710.01329"),
    ),
    Paper(
        "nguyen2019",
        "Nguyen & Salazar",
        2019,
        "Transformers without Tears: Improving the Normalization of Self-Attention",
        _arxiv("1910.05895"),
    ),
    Paper(
        "oh2025",
        "Oh et al.",
        2025,
        "Revisiting Residual Connections: Orthogonal Updates for Stable and Efficient Deep Networks",
        _arxiv("2505.11881"),
    ),
    Paper("olmo2025", "OLMo et al.", 2025, "2 OLMo 2 Furious", _arxiv("2501.00656")),
    Paper(
        "pagliardini2024",
        "Pagliardini et al.",
        2024,
        "DenseFormer: Enhancing Information Flow in Transformers via Depth Weighted Averaging",
        _arxiv("2402.02622"),
    ),
    Paper(
        "pennington2017",
        "Pennington et al.",
        2017,
        "Resurrecting the sigmoid in deep learning through dynamical isometry: theory and practice",
        _arxiv("1711.04735"),
    ),
    Paper(
        "press2022",
        "Press et al.",
        2022,
        "Train Short, Test Long: Attention with Linear Biases Enables Input Length Extrapolation",
        _arxiv("2108.12409"),
    ),
    Paper(
        "qiu2025",
        "Qiu et al.",
        2025,
        "Gated Attention for Large Language Models: Non-linearity, Sparsity, and Attention-Sink-Free",
        _arxiv("2505.06708"),
    ),
    Paper(
        "radford2019",
        "Radford et al.",
        2019,
        "Language Models are Unsupervised Multitask Learners",
        "https://cdn.openai.com/better-language-models/language_models_are_unsupervised_multitask_learners.pdf",
    ),
    Paper(
        "raffel2020",
        "Raffel et al.",
        2020,
        "Exploring the Limits of Transfer Learning with a Unified Text-to-Text Transformer",
        _arxiv("1910.10683"),
    ),
    Paper(
        "roy2007",
        "Roy & Vetterli",
        2007,
        "The effective rank: A measure of effective dimensionality",
        "https://www.eurasip.org/Proceedings/Eusipco/Eusipco2007/Papers/a5p-h05.pdf",
    ),
    Paper(
        "shen2020",
        "Shen et al.",
        2020,
        "PowerNorm: Rethinking Batch Normalization in Transformers",
        _arxiv("2003.07845"),
    ),
    Paper(
        "shleifer2021",
        "Shleifer et al.",
        2021,
        "NormFormer: Improved Transformer Pretraining with Extra Normalization",
        _arxiv("2110.09456"),
    ),
    Paper(
        "sinkhorn1967",
        "Sinkhorn & Knopp",
        1967,
        "Concerning nonnegative matrices and doubly stochastic matrices",
        "https://doi.org/10.2140/pjm.1967.21.343",
    ),
    Paper(
        "su2021",
        "Su et al.",
        2021,
        "RoFormer: Enhanced Transformer with Rotary Position Embedding",
        _arxiv("2104.09864"),
    ),
    Paper(
        "sukhbaatar2019",
        "Sukhbaatar et al.",
        2019,
        "Augmenting Self-attention with Persistent Memory",
        _arxiv("1907.01470"),
    ),
    Paper("sun2025", "Sun et al.", 2025, "The Curse of Depth in Large Language Models", _arxiv("2502.05795")),
    Paper(
        "takase2022",
        "Takase et al.",
        2022,
        "B2T Connection: Serving Stability and Performance in Deep Transformers",
        _arxiv("2206.00330"),
    ),
    Paper("tay2022", "Tay et al.", 2022, "Efficient Transformers: A Survey", _arxiv("2009.06732")),
    Paper("touvron2021", "Touvron et al.", 2021, "Going deeper with Image Transformers", _arxiv("2103.17239")),
    Paper(
        "ulyanov2016",
        "Ulyanov et al.",
        2016,
        "Instance Normalization: The Missing Ingredient for Fast Stylization",
        _arxiv("1607.08022"),
    ),
    Paper("vaswani2017", "Vaswani et al.", 2017, "Attention Is All You Need", _arxiv("1706.03762")),
    Paper(
        "wang2019",
        "Wang et al.",
        2019,
        "Learning Deep Transformer Models for Machine Translation",
        _arxiv("1906.01787"),
    ),
    Paper(
        "wang2021_gpt_j",
        "Wang & Komatsuzaki",
        2021,
        "GPT-J-6B: A 6 Billion Parameter Autoregressive Language Model",
        "https://github.com/kingoflolz/mesh-transformer-jax",
    ),
    Paper(
        "wang2022_deepnet",
        "Wang et al.",
        2022,
        "DeepNet: Scaling Transformers to 1,000 Layers",
        _arxiv("2203.00555"),
        name="DeepNet",
    ),
    Paper("wang2022_magneto", "Wang et al.", 2022, "Foundation Transformers", _arxiv("2210.06423"), name="Magneto"),
    Paper(
        "wang2026",
        "Wang et al.",
        2026,
        "SpanNorm: Reconciling Training Stability and Performance in Deep Transformers",
        _arxiv("2601.22580"),
    ),
    Paper(
        "wortsman2023",
        "Wortsman et al.",
        2023,
        "Small-scale proxies for large-scale Transformer training instabilities",
        _arxiv("2309.14322"),
    ),
    Paper("xie2023", "Xie et al.", 2023, "ResiDual: Transformer with Dual Residual Connections", _arxiv("2304.14802")),
    Paper("xie2025", "Xie et al.", 2025, "mHC: Manifold-Constrained Hyper-Connections", _arxiv("2512.24880")),
    Paper(
        "xiong2020",
        "Xiong et al.",
        2020,
        "On Layer Normalization in the Transformer Architecture",
        _arxiv("2002.04745"),
    ),
    Paper("xu2019", "Xu et al.", 2019, "Understanding and Improving Layer Normalization", _arxiv("1911.07013")),
    Paper(
        "yang2026", "Yang & Gao", 2026, "mHC-lite: You Don't Need 20 Sinkhorn-Knopp Iterations", _arxiv("2601.05732")
    ),
    Paper(
        "zhai2023",
        "Zhai et al.",
        2023,
        "Stabilizing Transformer Training by Preventing Attention Entropy Collapse",
        _arxiv("2303.06296"),
    ),
    Paper(
        "zhang2019_ds_init",
        "Zhang et al.",
        2019,
        "Improving Deep Transformer with Depth-Scaled Initialization and Merged Attention",
        _arxiv("1908.11365"),
        name="DS-Init",
    ),
    Paper(
        "zhang2019_fixup",
        "Zhang et al.",
        2019,
        "Fixup Initialization: Residual Learning Without Normalization",
        _arxiv("1901.09321"),
        name="Fixup",
    ),
    Paper("zhang2019_rms_norm", "Zhang & Sennrich", 2019, "Root Mean Square Layer Normalization", _arxiv("1910.07467")),
    Paper("zhang2026", "Zhang et al.", 2026, "Deep Delta Learning", _arxiv("2601.00417")),
    Paper("zhou2024", "Zhou et al.", 2024, "Value Residual Learning", _arxiv("2410.17897")),
    Paper("zhu2024", "Zhu et al.", 2024, "Hyper-Connections", _arxiv("2409.19606")),
    Paper("zhu2025", "Zhu et al.", 2025, "Transformers without Normalization", _arxiv("2503.10622")),
    Paper(
        "zhu2025_frac",
        "Zhu et al.",
        2025,
        "Frac-Connections: Fractional Extension of Hyper-Connections",
        _arxiv("2503.14125"),
        name="Frac-Connections",
    ),
    Paper(
        "zhuo2025",
        "Zhuo et al.",
        2025,
        "HybridNorm: Towards Stable and Efficient Transformer Training via Hybrid Normalization",
        _arxiv("2503.04598"),
    ),
)

PAPERS: dict[str, Paper] = {paper.key: paper for paper in _ALL}


def papers_of(keys: str | tuple[str, ...]) -> list[Paper]:
    """The papers behind the `paper` attribute of a class: one key, several, or "" for none.

    Raises KeyError for a key that is not in PAPERS.
    """
    return [PAPERS[key] for key in ((keys,) if isinstance(keys, str) else keys) if key]


def citations(keys: str | tuple[str, ...]) -> str:
    """For example "Wang et al. 2019, Xiong et al. 2020"; "" for none."""
    return ", ".join(paper.citation for paper in papers_of(keys))
