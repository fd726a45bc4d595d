"""One world per study, in which everything is as its paper says."""

from tests.support.worlds.attention_residuals2026 import AttentionResiduals2026
from tests.support.worlds.completep2025 import CompleteP2025
from tests.support.worlds.curse_of_depth2025 import CurseOfDepth2025
from tests.support.worlds.deep_scale2024 import DeepScale2024
from tests.support.worlds.deepnet2022 import DeepNet2022
from tests.support.worlds.depth_limit import DepthLimit
from tests.support.worlds.depth_use2025 import DepthUse2025
from tests.support.worlds.dong2021 import Dong2021
from tests.support.worlds.hyper_connections2024 import HyperConnections2024
from tests.support.worlds.keel2026 import Keel2026
from tests.support.worlds.liu2020 import Liu2020
from tests.support.worlds.nguyen2019 import Nguyen2019
from tests.support.worlds.noci2022 import Noci2022
from tests.support.worlds.peri_ln2025 import PeriLN2025
from tests.support.worlds.prores2026 import ProRes2026
from tests.support.worlds.shallow import Shallow
from tests.support.worlds.takase2022 import Takase2022
from tests.support.worlds.wang2019 import Wang2019
from tests.support.worlds.warmup import Warmup
from tests.support.worlds.which_stack import WhichStack
from tests.support.worlds.wortsman2023 import Wortsman2023
from tests.support.worlds.xiong2020 import Xiong2020

WORLDS = {world.study: world for world in (
    Xiong2020, Liu2020, Takase2022, Wang2019, Nguyen2019, DeepNet2022, Dong2021, Wortsman2023,
    DepthLimit, Warmup, Shallow, WhichStack, DepthUse2025, Noci2022, DeepScale2024,
    CurseOfDepth2025, CompleteP2025, ProRes2026, AttentionResiduals2026,
    PeriLN2025, HyperConnections2024, Keel2026,
)}  # fmt: skip
