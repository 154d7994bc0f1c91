#include "imports/importers.h"
#include "traces/atomic_file.h"
#include "traces/layer_table.h"

namespace shardlab {
Imported import_csv(const std::string& path, const ImportOptions& options) {
  const std::string text = read_whole_file(path);
  const LayerTable table = parse_layer_table(text, path);
  Imported result = blank_import(path, options);
  result.model.batch = batch_of(options, 0);
  result.device = kNotRecorded;
  result.method = "CSV: as given, one value per layer";
  for (const TableLayer& row : table.layers) {
    LayerCost& layer = result.model.layers.emplace_back(blank_layer(row.name));
    for (const auto& [field, value] : row.known) {
      if (is_time(field)) {
        know(layer, field, Measured{Duration{value}, {}, 1, std::nullopt});
      } else {
        know(layer, field, Bytes{value});
      }
    }
  }
  const auto rows = static_cast<std::int64_t>(table.layers.size());
  for (const std::string& column : table.passed_over) {
    result.unused.push_back({rows, "fields of the column " + column,
                             "its name is no cost with a unit, as forward_ms or parameters_MiB"});
  }
  return result;
}

}  // namespace shardlab
