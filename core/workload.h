#pragma once

#include <cstdint>
#include <string>
#include <vector>

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
  int priority = 0;  ///< A job of a higher one goes before every job of a lower one.
  int frozen_layers = 0;  ///< The first layers of the model, embedding included, do not train.
  int lora_rank = 0;      ///< Above 0: all layers are frozen, blocks train adapters of this rank.
  std::string base = {};  ///< Jobs of one base share their frozen parameters; empty: its own.

  [[nodiscard]] bool frozen() const { return frozen_layers > 0 || lora_rank > 0; }
};

struct Workload {
  std::vector<Job> jobs;
};

}  // namespace shardlab
