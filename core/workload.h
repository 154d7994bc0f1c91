#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/early_stop.h"
#include "core/model.h"
#include "core/time.h"

namespace shardlab {

/// One training run: model, data, hyper-parameters, number of minibatches.
struct Job {
  std::string name;  ///< Unique in its workload.
  ModelSpec model;
  int batch = 0;  ///< Sequences per minibatch.
  OptimizerSpec optimizer;
  std::int64_t minibatches = 0;
  std::uint64_t seed =
      0;             ///< Of initial weights, batches and dropout; nothing else influences them.
  std::string data;  ///< Text file or folder; empty: the sources of the Python standard library.
  Duration
      arrival{};  ///< When it is submitted, from the start of the run; nothing of it runs before.
  int priority = 0;       ///< A job of a higher one goes before every job of a lower one.
  int frozen_layers = 0;  ///< The first layers of the model, embedding included, do not train.
  int lora_rank = 0;      ///< Above 0: all layers are frozen, blocks train adapters of this rank.
  std::string base = {};  ///< Jobs of one base share their frozen parameters; empty: its own.
  std::int64_t stop_after = 0;  ///< Minibatches, fewer than those; 0: it runs to its end.
  std::int64_t done = 0;        ///< Minibatches that a checkpoint holds: it goes on after them.
  /// Of an imported model: what its profile must have been computed in. None: whatever it was.
  std::optional<Precision> imported_precision = std::nullopt;

  [[nodiscard]] bool frozen() const { return frozen_layers > 0 || lora_rank > 0; }
};

struct Workload {
  std::vector<Job> jobs;
  std::optional<EarlyStop> early_stop = std::nullopt;  ///< Then no job has a `stop_after`.
};

/// Some job may end before its last minibatch.
inline bool stops_early(const Workload& workload) {
  return workload.early_stop.has_value() ||
         std::any_of(workload.jobs.begin(), workload.jobs.end(),
                     [](const Job& job) { return job.stop_after > 0; });
}

}  // namespace shardlab
