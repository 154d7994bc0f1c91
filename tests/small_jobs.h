#pragma once

#include <filesystem>
#include <fstream>
#include <string>
#include <unistd.h>
#include <vector>

#include "core/profile.h"
#include "core/workload.h"
#include "models/shard_pass.h"
#include "models/validate.h"

/// A few jobs that train in a moment, for tests of the executor.
namespace shardlab {

/// Text of a test's own, in a file as a user would give it.
inline const std::string& text_file() {
  static const std::string kPath = [] {
    std::string file = std::filesystem::temp_directory_path() /
                       ("shardlab_text_" + std::to_string(getpid()) + ".txt");
    std::ofstream out(file);
    for (int i = 0; i < 3000; ++i) out << static_cast<char>('a' + i * i % 23);
    return file;
  }();
  return kPath;
}

/// Not inlined: g++ 12 would see strings of temporaries that nobody set.
[[gnu::noinline]] inline Workload small_jobs() {
  const OptimizerSpec adamw{OptimizerKind::kAdamW, 1e-3, 0, 0.01};
  const OptimizerSpec sgd{OptimizerKind::kSgd, 1e-2, 0.9, 0};
  Workload work;
  work.jobs.push_back(
      {"gpt", {Architecture::kGpt, 3, 32, 2, 16, 0.1}, 4, adamw, 3, 11, text_file()});
  work.jobs.push_back(
      {"bert", {Architecture::kBert, 2, 48, 3, 16, 0.2}, 3, sgd, 4, 12, text_file()});
  work.jobs.push_back(
      {"mlp", {Architecture::kMlp, 4, 40, 1, 8, 0.1}, 5, adamw, 5, 13, text_file()});
  work.jobs.push_back({"gpt2", {Architecture::kGpt, 4, 32, 4, 8, 0.3}, 4, sgd, 2, 14, text_file()});
  return work;
}

/// Bytes from the models, generous workspace, one nanosecond for everything: enough to lower a
/// plan.
inline Profile rough_profile(const Workload& work) {
  Profile profile;
  for (const Job& job : work.jobs) {
    const Model model(job.model);
    ModelProfile entry{job.model, job.batch, job.optimizer.kind, {}};
    for (int i = 0; i < model.layers(); ++i) {
      const ShardPass layer(model, i, i + 1);
      LayerCost cost;
      cost.parameters = layer.parameter_bytes();
      cost.state = cost.parameters * state_factor(job.optimizer.kind);
      cost.output = boundary_elements(job.model, job.batch) * static_cast<Bytes>(sizeof(float));
      cost.forward_workspace = cost.saved = cost.backward_workspace = Bytes{256} << 10;
      for (LayerTimes* times : {&cost.alone, &cost.loaded}) {
        times->forward.median = times->recompute.median = times->backward.median = Duration{1000};
      }
      entry.layers.push_back(cost);
    }
    profile.models.push_back(entry);
  }
  return profile;
}

/// A partition into shards of about `layers` layers.
inline std::vector<std::vector<int>> cut(const Workload& work, int layers) {
  std::vector<std::vector<int>> first;
  for (const Job& job : work.jobs) {
    first.emplace_back();
    for (int l = 0; l < job.model.layers + 2; l += layers) first.back().push_back(l);
  }
  return first;
}

}  // namespace shardlab
