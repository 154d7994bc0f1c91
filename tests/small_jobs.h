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

struct SmallShape {
  int layers = 0, width = 0, heads = 0, context = 0;
};

/// Member by member: in nested braces g++ 12 sees strings that nobody set.
inline Job small_job(const std::string& name, Architecture architecture, SmallShape shape,
                     double dropout = 0) {
  Job job;
  job.name = name;
  job.model.architecture = architecture;
  job.model.layers = shape.layers;
  job.model.width = shape.width;
  job.model.heads = shape.heads;
  job.model.context = shape.context;
  job.model.dropout = dropout;
  job.data = text_file();
  return job;
}

inline void train_by(Job& job, const OptimizerSpec& optimizer, int batch, std::int64_t minibatches,
                     std::uint64_t seed) {
  job.optimizer = optimizer;
  job.batch = batch;
  job.minibatches = minibatches;
  job.seed = seed;
}

inline Workload small_jobs() {
  const OptimizerSpec adamw{OptimizerKind::kAdamW, 1e-3, 0, 0.01};
  const OptimizerSpec sgd{OptimizerKind::kSgd, 1e-2, 0.9, 0};
  Workload work;
  work.jobs.push_back(small_job("gpt", Architecture::kGpt, {3, 32, 2, 16}, 0.1));
  work.jobs.push_back(small_job("bert", Architecture::kBert, {2, 48, 3, 16}, 0.2));
  work.jobs.push_back(small_job("mlp", Architecture::kMlp, {4, 40, 1, 8}, 0.1));
  work.jobs.push_back(small_job("gpt2", Architecture::kGpt, {4, 32, 4, 8}, 0.3));
  work.jobs[2].model.batch_norm = true;
  train_by(work.jobs[0], adamw, 4, 3, 11);
  train_by(work.jobs[1], sgd, 3, 4, 12);
  train_by(work.jobs[2], adamw, 5, 5, 13);
  train_by(work.jobs[3], sgd, 4, 2, 14);
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
