#include "traces/layer_table.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "core/error.h"
#include "traces/csv.h"
#include "traces/json_object.h"
#include "traces/value.h"

namespace shardlab {
namespace {

constexpr std::size_t kMostLayers = 100'000;

struct Unit {
  std::string_view name;
  double factor;
  bool time;
};
constexpr std::array<Unit, 13> kUnits{{{"ns", 1, true},
                                       {"us", 1e3, true},
                                       {"ms", 1e6, true},
                                       {"s", 1e9, true},
                                       {"bytes", 1, false},
                                       {"KiB", 0x1p10, false},
                                       {"MiB", 0x1p20, false},
                                       {"GiB", 0x1p30, false},
                                       {"TiB", 0x1p40, false},
                                       {"KB", 1e3, false},
                                       {"MB", 1e6, false},
                                       {"GB", 1e9, false},
                                       {"TB", 1e12, false}}};

struct Cost {
  std::string_view name;
  CostField field;
  bool time;
};
constexpr std::array<Cost, 13> kCosts{
    {{"forward", CostField::kForward, true},
     {"recompute", CostField::kRecompute, true},
     {"backward", CostField::kBackward, true},
     {"step", CostField::kStep, true},
     {"parameter", CostField::kParameters, false},
     {"parameters", CostField::kParameters, false},
     {"state", CostField::kState, false},
     {"output", CostField::kOutput, false},
     {"activation", CostField::kOutput, false},
     {"activations", CostField::kOutput, false},
     {"forward_workspace", CostField::kForwardWorkspace, false},
     {"saved", CostField::kSaved, false},
     {"backward_workspace", CostField::kBackwardWorkspace, false}}};

std::int64_t amount(std::string_view field, double factor, bool time) {
  const double value = finite(csv_number(field), 0) * factor;
  if (value > static_cast<double>(kMostInFile)) throw Error(fmt::format("is too large: {}", field));
  const std::int64_t whole = std::llround(value);
  // There are no parts of a byte; and what is not zero never becomes it.
  if ((factor == 1 && !time && static_cast<double>(whole) != value) || (value > 0 && value < 1)) {
    throw Error(fmt::format("must be whole {}, is {}", time ? "nanoseconds" : "bytes", field));
  }
  return whole;
}

class LayerTableReader {
 public:
  LayerTableReader(std::string_view text, const std::string& origin)
      : rows_(text, origin, CsvComments::kHash), origin_(origin) {
    for (std::size_t c = 0; c < rows_.columns().size(); ++c) take_column(c);
    if (costs_.empty()) {
      throw Error(
          fmt::format("{}: no column is a cost, the first is \"{}\"; write for example "
                      "name,forward_ms,backward_ms,parameters_MiB,activation_MiB",
                      origin, rows_.columns().front().substr(0, 60)));
    }
  }

  LayerTable read() {
    while (rows_.next()) {
      if (table_.layers.size() == kMostLayers) {
        throw Error(fmt::format("{}: more than {} layers", rows_.place(), kMostLayers));
      }
      add_row();
    }
    if (table_.layers.empty()) throw Error(origin_ + ": no layer in it, only the names of columns");
    return std::move(table_);
  }

 private:
  void take_column(std::size_t c) {
    const std::string& column = rows_.columns()[c];
    if (column == "name" || column == "layer") {
      name_ = c;
      return;
    }
    const auto cost = cost_column(column);
    if (!cost) {
      table_.passed_over.push_back(column);
      return;
    }
    for (const auto& [other, known] : costs_) {
      if (known.field != cost->field) continue;
      throw Error(fmt::format("{}: {} and {} say the same; take one out", origin_,
                              rows_.columns()[other], column));
    }
    costs_.emplace_back(c, *cost);
  }

  void add_row() {
    TableLayer layer{fmt::format("layer {}", table_.layers.size()), {}};
    if (name_ && !rows_[*name_].empty()) {
      in_context(rows_.place(*name_), [&] {
        layer.name = plain_text(rows_[*name_]);
        if (!names_.insert(layer.name).second) {
          throw Error("there is a layer \"" + layer.name + "\" already; give each its own name");
        }
      });
    }
    for (const auto& [column, cost] : costs_) {
      if (rows_[column].empty()) continue;
      in_context(rows_.place(column), [&, &at = column, &of = cost] {
        layer.known.push_back({of.field, amount(rows_[at], of.factor, of.time)});
      });
    }
    table_.layers.push_back(std::move(layer));
  }

  CsvReader rows_;
  const std::string& origin_;
  std::optional<std::size_t> name_;
  std::set<std::string> names_;
  std::vector<std::pair<std::size_t, CostColumn>> costs_;
  LayerTable table_;
};

}  // namespace

std::optional<CostColumn> cost_column(std::string_view name) {
  const std::size_t between = name.rfind('_');
  if (between == std::string_view::npos) return {};
  const auto unit = std::ranges::find(kUnits, name.substr(between + 1), &Unit::name);
  const auto cost = std::ranges::find(kCosts, name.substr(0, between), &Cost::name);
  if (unit == kUnits.end() || cost == kCosts.end() || unit->time != cost->time) return {};
  return CostColumn{cost->field, unit->factor, unit->time};
}

LayerTable parse_layer_table(std::string_view text, const std::string& origin) {
  return LayerTableReader(text, origin).read();
}

}  // namespace shardlab
