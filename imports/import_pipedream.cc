#include <algorithm>

#include <fmt/format.h>

#include "core/error.h"
#include "imports/importers.h"
#include "traces/atomic_file.h"
#include "traces/json_object.h"
#include "traces/pipedream_file.h"

namespace shardlab {
namespace {

using Nodes = std::vector<PipedreamNode>;

/// What a cut above node `i` must carry: every output from below that a node above takes.
Bytes crossing(const Nodes& nodes, std::size_t i) {
  Bytes bytes = 0;
  for (std::size_t j = 0; j <= i; ++j) {
    if (nodes[j].input()) continue;
    const bool taken = std::ranges::any_of(nodes[j].readers, [&](std::size_t r) { return r > i; });
    if (taken) bytes = std::min(bytes + nodes[j].activation, kMostInFile);  // Refused when used.
  }
  return bytes;
}

/// Some backwards of the published graphs are of a moment only, for example 0.016 ms behind a
/// forward of 5.2 ms of an LSTM. What trains weights takes about twice its forward.
bool too_short(const PipedreamNode& node) {
  return node.parameters > 0 && node.backward * 10 < node.forward;
}

LayerCost layer_cost(const Nodes& nodes, std::size_t i) {
  const PipedreamNode& node = nodes[i];
  LayerCost layer = blank_layer(node.id + " " + node.what.substr(0, node.what.find('(')));
  know(layer, CostField::kForward, Measured{node.forward, {}, 1, std::nullopt});
  if (!too_short(node)) {
    know(layer, CostField::kBackward, Measured{node.backward, {}, 1, std::nullopt});
  }
  know(layer, CostField::kParameters, node.parameters);
  know(layer, CostField::kOutput, crossing(nodes, i));
  return layer;
}

/// Inputs are no layers: what they hold is what the model reads.
void take_inputs(const Nodes& nodes, Imported& to) {
  Bytes bytes = 0;
  std::int64_t count = 0;
  double loading = 0;
  for (const PipedreamNode& node : nodes) {
    if (!node.input()) continue;
    ++count;
    bytes = std::min(bytes + node.activation, kMostInFile);
    loading += seconds(node.forward);
  }
  if (bytes > 0) to.model.input = bytes;
  if (count == 0) return;
  to.unused.push_back(
      {count, "input nodes' times",
       fmt::format("{:.3f} ms are of reading data, which is not simulated", loading * 1e3)});
}

}  // namespace

Imported import_pipedream(const std::string& path, const ImportOptions& options) {
  const std::string text = read_whole_file(path);
  const Nodes nodes = in_context(path, [&] { return parse_pipedream(text); });
  Imported result = blank_import(path, options);
  result.model.batch = batch_of(options, 0);
  result.device = kNotRecorded;
  result.method = "PipeDream: as its profiler wrote it, one value per operator";
  std::int64_t doubtful = 0;
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    if (nodes[i].input()) continue;
    result.model.layers.push_back(layer_cost(nodes, i));
    doubtful += too_short(nodes[i]) ? 1 : 0;
  }
  if (result.model.layers.empty()) throw Error(path + ": only inputs, no operator");
  take_inputs(nodes, result);
  if (doubtful > 0) {
    result.unused.push_back({doubtful, "backward times",
                             "less than a tenth of the forward although the node has parameters"});
  }
  result.notes.emplace_back(
      "output_bytes: of all outputs from below that an operator above takes, for a graph that is "
      "no chain");
  return result;
}

}  // namespace shardlab
