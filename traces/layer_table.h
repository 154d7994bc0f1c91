#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/cost_field.h"

namespace shardlab {

/// A column of a table of layers: a cost, and what its unit is worth.
struct CostColumn {
  CostField field{};
  double factor = 1;  ///< In nanoseconds or bytes.
  bool time = false;
};

/// `forward_ms`, `parameters_MiB`, `activation_bytes`, ...: a cost and its unit. Costs are those of
/// a
/// profile's layer, without their unit: `forward`, `recompute`, `backward`, `step`; `parameter(s)`,
/// `state`, `output` or `activation(s)`, `forward_workspace`, `saved`, `backward_workspace`. Units
/// are ns, us, ms, s; bytes, KiB, MiB, GiB, TiB, KB, MB, GB, TB. None where it is no such name.
std::optional<CostColumn> cost_column(std::string_view name);

struct TableLayer {
  std::string name;
  struct Value {
    CostField field{};
    std::int64_t value = 0;  ///< ns or bytes.
  };
  std::vector<Value> known;  ///< An empty field is not known.
};

struct LayerTable {
  std::vector<TableLayer> layers;
  std::vector<std::string> passed_over;  ///< Columns that name no cost.
};

/// CSV with a row per layer, in their order. The column `name` or `layer` names it, else its place
/// does. Throws Error `origin:line: column: what` on a number that is none, negative, too large
/// or of parts of a byte,
/// two columns of one cost, no column of a cost, and no row.
LayerTable parse_layer_table(std::string_view text, const std::string& origin);

}  // namespace shardlab
