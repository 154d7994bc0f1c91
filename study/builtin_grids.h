#pragma once

#include <span>
#include <string_view>

namespace shardlab {

/// A grid that comes with the command, as a user would write it.
struct BuiltinGrid {
  std::string_view name, toml;
};

/// `policies`, and what Hydra (arXiv 2110.08633) shows of simulations: `fig6`, `fig7`.
std::span<const BuiltinGrid> builtin_grids();

}  // namespace shardlab
