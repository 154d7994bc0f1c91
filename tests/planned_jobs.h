#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "core/cluster.h"
#include "core/profile.h"
#include "core/workload.h"
#include "tests/lawful_profile.h"

// Jobs, profiles and clusters for tests of planning/.
namespace shardlab::planned_jobs {

constexpr int kBatch = 16;

inline Job gpt(const std::string& name, std::int64_t minibatches = 6, int layers = 6) {
  Job job;
  job.name = name;
  job.model = {Architecture::kGpt, layers, 512, 8, 128, 0, Precision::kFp32};
  job.batch = kBatch;
  job.optimizer.kind = OptimizerKind::kSgd;
  job.minibatches = minibatches;
  return job;
}

/// Of all batches that divide kBatch, or of that alone.
inline Profile profile_of(const std::vector<Job>& jobs, bool microbatches = true) {
  Profile made;
  for (const Job& job : jobs) {
    for (int batch = microbatches ? 1 : kBatch; batch <= kBatch; batch *= 2) {
      const Shape shape{job.model, job.optimizer.kind, batch};
      const bool known = std::ranges::any_of(made.models, [&](const ModelProfile& each) {
        return each.model == job.model && each.batch == batch;
      });
      if (!known) made.models.push_back(lawful(shape));
    }
  }
  return made;
}

inline Cluster cluster_of(int devices, Bytes memory = kUnlimited) {
  Cluster cluster;
  for (int d = 0; d < devices; ++d) {
    DeviceSpec device;
    device.name = "gpu-" + std::to_string(d);
    device.memory = memory;
    device.copy_engines = 2;
    device.link = {Duration{10'000}, 12e9};
    device.peer = LinkSpec{Duration{10'000}, 25e9};
    cluster.devices.push_back(device);
  }
  return cluster;
}

}  // namespace shardlab::planned_jobs
