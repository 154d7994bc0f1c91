#include <fmt/format.h>

#include "imports/importers.h"
#include "profiler/samples.h"
#include "traces/perseus_file.h"

namespace shardlab {
namespace {

LayerCost stage_cost(const PerseusRun& run, int stage, Duration& load) {
  Samples forward, backward;
  for (const PerseusIteration& iteration : run.iterations) {
    for (int m = 0; m < run.microbatches; ++m) {
      const PerseusPass& pass = run.pass(iteration, stage, m);
      forward.push_back(pass.forward);
      backward.push_back(pass.backward);
      load += pass.load;
    }
  }
  LayerCost layer = blank_layer(fmt::format("stage {}", stage));
  know(layer, CostField::kForward, summarize(std::move(forward)));
  know(layer, CostField::kBackward, summarize(std::move(backward)));
  return layer;
}

}  // namespace

Imported import_perseus(const std::string& path, const ImportOptions& options) {
  const PerseusRun run = read_perseus(path);
  Imported result = blank_import(path, options);
  result.model.batch = batch_of(options, run.microbatch_size);
  result.device = kNotRecorded;
  result.method = "Perseus: median over iterations and microbatches, without the first iteration";
  Duration load{};
  for (int s = 0; s < run.stages; ++s) {
    result.model.layers.push_back(stage_cost(run, s, load));
  }
  const auto minibatches = static_cast<std::int64_t>(run.iterations.size());
  if (load > Duration{}) {
    result.unused.push_back({minibatches, "iterations' load times",
                             fmt::format("reading data is not simulated; {:.1f} ms of an iteration",
                                         seconds(load) * 1e3 / static_cast<double>(minibatches))});
  }
  result.unused.push_back(
      {minibatches, "iterations' iter_time",
       "a minibatch as a whole is no cost of a layer; validate perseus uses it"});
  return result;
}

}  // namespace shardlab
