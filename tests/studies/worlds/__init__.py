"""One world per study, in which everything is as its paper says."""

from studies.worlds.deepnet2022 import DeepNet2022
from studies.worlds.depth_limit import DepthLimit
from studies.worlds.dong2021 import Dong2021
from studies.worlds.liu2020 import Liu2020
from studies.worlds.nguyen2019 import Nguyen2019
from studies.worlds.shallow import Shallow
from studies.worlds.takase2022 import Takase2022
from studies.worlds.wang2019 import Wang2019
from studies.worlds.warmup import Warmup
from studies.worlds.wortsman2023 import Wortsman2023
from studies.worlds.xiong2020 import Xiong2020

WORLDS = {world.study: world for world in (
    Xiong2020, Liu2020, Takase2022, Wang2019, Nguyen2019, DeepNet2022, Dong2021, Wortsman2023,
    DepthLimit, Warmup, Shallow,
)}  # fmt: skip
