#include "study/builtin_grids.h"

namespace shardlab {
namespace {

constexpr std::string_view kPolicies = R"toml(name = "policies"
about = "12 jobs on 8 devices: where policies differ"
instances = 20
slots = [1, 2, 8]      # Units claimed at once per device.
memory = [2, 8]        # It has room for so many of the largest unit.

[[jobs]]
name = "homogeneous"
count = 12
equal = true
shards = 8
minibatches = 6
time = "10 min"
spread = 0.5

[[jobs]]
name = "heterogeneous"
count = 12
shards = [4, 12]
minibatches = [3, 9]
time = ["4 min", "16 min"]
spread = 0.5

[[devices]]
name = "identical"
count = 8

[[devices]]
name = "mixed"
count = 8
speeds = [1, 0.5]

[[transfer]]
link = "none"

[[transfer]]
link = "dedicated"
load = [0.5, 1, 2]

[[transfer]]
link = "shared"
load = [0.25, 0.5, 1]
)toml";

constexpr std::string_view kFigureSix = R"toml(name = "fig6"
about = "Fig. 6 of Hydra (arXiv 2110.08633): 3 models of 2 shards, 2 devices, equal passes"
instances = 1
slots = 1
relative_to = "the 6 passes of SHARP; task parallelism takes 8, model parallelism 12"

[[jobs]]
name = "3 models"
count = 3
equal = true
shards = 2
minibatches = 1
time = "4 s"           # A pass takes 1 s; the last shard's two passes are one unit.
backward = 1
recompute = false

[[devices]]
name = "2 devices"
count = 2

[[transfer]]
link = "none"

[[published]]
jobs = "3 models"
devices = "2 devices"
policy = "lrtf"
value = 1

[[published]]
jobs = "3 models"
devices = "2 devices"
policy = "task_parallel"
value = 1.333
)toml";

constexpr std::string_view kFigureSeven = R"toml(name = "fig7"
about = "Fig. 7 of Hydra (arXiv 2110.08633): one epoch of each model, without transfers"
instances = 10
slots = 1
relative_to = "what Gurobi found in 100 s, which is not always the optimum; read off a plot"

[[jobs]]
name = "homogeneous 8"
count = 8
equal = true
shards = 1             # A minibatch is one unit.
minibatches = 2000
time = "2 h"

[[jobs]]
name = "homogeneous 64"
count = 64
equal = true
shards = 1             # A minibatch is one unit.
minibatches = 2000
time = "2 h"

[[jobs]]
name = "heterogeneous 8"
count = 8
shards = 1
minibatches = [100, 10000]
time = ["30 min", "4 h"]

[[jobs]]
name = "heterogeneous 64"
count = 64
shards = 1
minibatches = [100, 10000]
time = ["30 min", "4 h"]

[[devices]]
name = "4 GPUs"
count = 4

[[devices]]
name = "8 GPUs"
count = 8

[[transfer]]
link = "none"

[[published]]
jobs = "homogeneous 8"
devices = "4 GPUs"
policy = "random"
value = 1.15

[[published]]
jobs = "homogeneous 8"
devices = "8 GPUs"
policy = "random"
value = 1.06

[[published]]
jobs = "homogeneous 8"
devices = "4 GPUs"
policy = "lrtf"
value = 1.01

[[published]]
jobs = "homogeneous 8"
devices = "8 GPUs"
policy = "lrtf"
value = 0.85

[[published]]
jobs = "homogeneous 64"
devices = "4 GPUs"
policy = "random"
value = 0.98

[[published]]
jobs = "homogeneous 64"
devices = "8 GPUs"
policy = "random"
value = 0.95

[[published]]
jobs = "homogeneous 64"
devices = "4 GPUs"
policy = "lrtf"
value = 0.9

[[published]]
jobs = "homogeneous 64"
devices = "8 GPUs"
policy = "lrtf"
value = 0.82

[[published]]
jobs = "heterogeneous 8"
devices = "4 GPUs"
policy = "random"
value = 1.15

[[published]]
jobs = "heterogeneous 8"
devices = "8 GPUs"
policy = "random"
value = 1.2

[[published]]
jobs = "heterogeneous 8"
devices = "4 GPUs"
policy = "lrtf"
value = 1.01

[[published]]
jobs = "heterogeneous 8"
devices = "8 GPUs"
policy = "lrtf"
value = 0.85

[[published]]
jobs = "heterogeneous 64"
devices = "4 GPUs"
policy = "random"
value = 0.95

[[published]]
jobs = "heterogeneous 64"
devices = "8 GPUs"
policy = "random"
value = 1.04

[[published]]
jobs = "heterogeneous 64"
devices = "4 GPUs"
policy = "lrtf"
value = 0.9

[[published]]
jobs = "heterogeneous 64"
devices = "8 GPUs"
policy = "lrtf"
value = 0.82
)toml";

constexpr BuiltinGrid kGrids[] = {
    {"policies", kPolicies}, {"fig6", kFigureSix}, {"fig7", kFigureSeven}};

}  // namespace

std::span<const BuiltinGrid> builtin_grids() { return kGrids; }

}  // namespace shardlab
