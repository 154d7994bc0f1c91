#include "imports/fill.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "core/error.h"
#include "models/layer_sizes.h"
#include "traces/layer_costs.h"
#include "traces/workload_file.h"

namespace shardlab {
namespace {

/// Layers [first, last) as one: what lies between two of them is saved, and is there beside the
/// workspace of each.
LayerCost merged(const std::vector<LayerCost>& layers, std::size_t first, std::size_t last) {
  LayerCost sum;
  const auto inner = [&](std::size_t above) {
    return above > first && above < last ? layers[above - 1].output : Bytes{0};
  };
  for (std::size_t i = first; i < last; ++i) {
    const LayerCost& layer = layers[i];
    const Bytes around = inner(i) + inner(i + 1);
    sum.parameters += layer.parameters;
    sum.state += layer.state;
    sum.saved += layer.saved + inner(i);
    sum.forward_workspace = std::max(sum.forward_workspace, layer.forward_workspace + around);
    sum.backward_workspace = std::max(sum.backward_workspace, layer.backward_workspace + around);
  }
  sum.output = layers[last - 1].output;
  return sum;
}

void refuse_cuts(const std::vector<int>& first_layer, std::size_t imported, std::size_t layers) {
  const bool ascending =
      std::ranges::adjacent_find(first_layer, std::greater_equal{}) == first_layer.end();
  if (first_layer.size() == imported && first_layer.front() == 0 && ascending &&
      static_cast<std::size_t>(first_layer.back()) < layers) {
    return;
  }
  throw UsageError(
      fmt::format("--fill-at: must be {} numbers that ascend from 0 to below {}, one for "
                  "each imported layer",
                  imported, layers));
}

/// The model's layers as the import has them.
std::vector<LayerCost> matched(const std::string& path, std::vector<LayerCost> layers,
                               const std::vector<int>& first_layer, const Imported& to) {
  const std::size_t imported = to.model.layers.size();
  if (first_layer.empty()) {
    if (layers.size() == imported) return layers;
    throw UsageError(fmt::format(
        "{}: its model has {} layers (embedding, blocks and head), {} has {}; say with which layer "
        "each of them begins: --fill-at 0,...",
        path, layers.size(), describe(to.model.model), imported));
  }
  refuse_cuts(first_layer, imported, layers.size());
  std::vector<LayerCost> result;
  for (std::size_t i = 0; i < imported; ++i) {
    const auto end =
        i + 1 < imported ? static_cast<std::size_t>(first_layer[i + 1]) : layers.size();
    result.push_back(merged(layers, static_cast<std::size_t>(first_layer[i]), end));
  }
  return result;
}

/// Tables round sizes; another model is further off.
constexpr double kRounding = 0.01;

void refuse_other_parameters(const std::string& path, const LayerCost& imported,
                             const LayerCost& filled) {
  if (imported.missing.has(CostField::kParameters)) return;
  const auto in_file = static_cast<double>(imported.parameters);
  const auto in_model = static_cast<double>(filled.parameters);
  if (std::abs(in_file - in_model) <= kRounding * std::max(in_file, in_model)) return;
  throw UsageError(fmt::format(
      "--fill {}: is another model: {} has {} bytes of parameters, in the workload's model {}",
      path, imported.name, imported.parameters, filled.parameters));
}

/// As that model it would be simulated and held against runs in the workload's precision.
void refuse_other_precision(const std::string& path, const Job& job, const ModelProfile& imported) {
  const auto& known = imported.imported_precision;
  if (!known || *known == job.model.precision) return;
  throw UsageError(fmt::format(
      "--fill {}: its model is of precision {}, {} was computed in {}; {}, or keep it an imported "
      "model with --fill-at 0,1,2 and so on",
      path, to_string(job.model.precision), describe(imported.model), to_string(*known),
      *known == Precision::kBf16 || *known == Precision::kFp32
          ? fmt::format("write precision = \"{}\"", to_string(*known))
          : "models are trained in fp32 and bf16 alone"));
}

}  // namespace

Job job_to_fill_from(const std::string& path) {
  const Workload workload = read_workload(path);
  const Job& first = workload.jobs.front();
  for (const Job& job : workload.jobs) {
    if (job.model == first.model && job.batch == first.batch &&
        job.optimizer.kind == first.optimizer.kind) {
      continue;
    }
    throw UsageError(
        fmt::format("--fill {}: {} and {} are different models, batches or optimizers; "
                    "leave one of them in it",
                    path, first.name, job.name));
  }
  if (first.model.architecture == Architecture::kImported) {
    throw UsageError(
        fmt::format("--fill {}: sizes of {} are not known", path, describe(first.model)));
  }
  return first;
}

void fill(const std::string& path, const Job& job, const std::vector<int>& first_layer,
          Imported& to) {
  ModelProfile& model = to.model;
  const std::vector<LayerCost> sizes =
      matched(path, layer_sizes(job.model, model.batch, model.optimizer), first_layer, to);
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    refuse_other_parameters(path, model.layers[i], sizes[i]);
  }
  std::int64_t filled = 0;
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    for (const auto& [field, bytes] : kBytesFields) {
      if (!model.layers[i].missing.has(field)) continue;
      know(model.layers[i], field, sizes[i].*bytes);
      ++filled;
    }
  }
  const std::string imported = describe(model.model);
  if (first_layer.empty()) {
    refuse_other_precision(path, job, model);
    model.model = job.model;
    model.input.reset();
    if (!model.imported_precision.has_value()) {
      to.notes.push_back(fmt::format("precision: not known, taken for {} as {} says",
                                     to_string(job.model.precision), path));
    }
    model.imported_precision.reset();
    to.notes.push_back(fmt::format("imported as {}, taken for {}", imported, describe(job.model)));
  } else if (!model.input) {
    model.input = Bytes{model.batch} * job.model.context * 8;  // Ids of 64 bits.
  }
  to.notes.push_back(fmt::format("{} sizes of {} layers: filled from {} ({})", filled, sizes.size(),
                                 path, describe(job.model)));
}

}  // namespace shardlab
