#include "study/instance.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <iterator>
#include <limits>
#include <numeric>

#include <fmt/format.h>

#include "core/counter_hash.h"
#include "sched/shard_cost.h"

namespace shardlab {
namespace {

/// Of a link. Only times matter, so any would do that makes bytes round well.
constexpr double kBytesPerSecond = 16e9;
constexpr double kActivationShare = 1.0 / 16;

/// What is drawn of a job. The order is part of every key: append only.
enum class Drawn : std::uint64_t { kForward, kBackward, kParameters, kShards, kMinibatches, kTime };

/// The draws of one job of one instance.
class JobDraws {
 public:
  JobDraws(std::uint64_t seed, std::int64_t instance, std::size_t job)
      : stream_(counter_hash({kStudy, seed, static_cast<std::uint64_t>(instance), job})) {}

  /// In (0, 1).
  [[nodiscard]] double uniform(Drawn what, std::size_t shard = 0) const {
    return open_interval(counter_hash({stream_, shard, static_cast<std::uint64_t>(what)}));
  }
  [[nodiscard]] double around_one(Drawn what, std::size_t shard, double spread) const {
    return 1 + spread * (2 * uniform(what, shard) - 1);
  }
  [[nodiscard]] std::int64_t of(Drawn what, DrawnFrom<std::int64_t> range) const {
    const auto count = static_cast<double>(range.most - range.least + 1);
    return range.least + static_cast<std::int64_t>(uniform(what) * count);
  }
  [[nodiscard]] double of(Drawn what, DrawnFrom<Duration> range) const {
    return std::lerp(static_cast<double>(range.least.count()),
                     static_cast<double>(range.most.count()), uniform(what));
  }

 private:
  static constexpr std::uint64_t kStudy = 0x7374756479;  // "study": apart from other draws.
  std::uint64_t stream_;
};

Measured exactly(double nanoseconds) {
  return {Duration{std::llround(nanoseconds)}, Duration{}, 1};
}

/// Costs of the job in nanoseconds and bytes, one layer per shard.
struct DrawnJob {
  std::int64_t minibatches = 1;
  std::vector<LayerCost> layers;
};

DrawnJob draw_job(const DrawnJobs& how, double load, const JobDraws& draws) {
  DrawnJob job;
  job.minibatches = draws.of(Drawn::kMinibatches, how.minibatches);
  const auto shards = static_cast<std::size_t>(draws.of(Drawn::kShards, how.shards));
  std::vector<double> forward(shards), backward(shards);
  for (std::size_t s = 0; s < shards; ++s) {
    forward[s] = draws.around_one(Drawn::kForward, s, how.spread);
    backward[s] = how.backward * draws.around_one(Drawn::kBackward, s, how.spread);
  }
  double shares = std::accumulate(forward.begin(), forward.end(), 0.0) +
                  std::accumulate(backward.begin(), backward.end(), 0.0);
  // The last shard's unit is fused: it repeats nothing.
  if (how.recompute) shares += std::accumulate(forward.begin(), forward.end() - 1, 0.0);
  const double minibatch = draws.of(Drawn::kTime, how.time) / static_cast<double>(job.minibatches);
  const double bytes =
      load * minibatch / static_cast<double>(2 * shards - 1) * 1e-9 * kBytesPerSecond;
  for (std::size_t s = 0; s < shards; ++s) {
    LayerCost layer;
    layer.name = fmt::format("shard {}", s);
    layer.loaded.forward = exactly(forward[s] / shares * minibatch);
    const bool records = how.recompute || s + 1 == shards;  // The fused unit's only forward.
    layer.loaded.recompute = records ? layer.loaded.forward : exactly(0);
    layer.loaded.backward = exactly(backward[s] / shares * minibatch);
    layer.loaded.step = exactly(0);
    layer.alone = layer.loaded;
    layer.parameters = std::llround(bytes * draws.around_one(Drawn::kParameters, s, how.spread));
    layer.output = std::llround(bytes * kActivationShare);
    job.layers.push_back(layer);
  }
  return job;
}

/// Stands for a job's costs: `width` tells the models of a profile apart.
ModelSpec model_of(std::size_t job, std::size_t shards) {
  ModelSpec model;
  model.architecture = Architecture::kMlp;
  model.layers = std::max(1, static_cast<int>(shards) - 2);  // Without embedding and head.
  model.width = static_cast<int>(job) + 1;
  model.context = 1;
  return model;
}

void add_job(const StudyCell& cell, std::uint64_t seed, std::int64_t instance, std::size_t j,
             StudyInstance& made) {
  const std::size_t source = cell.jobs.equal ? 0 : j;
  const DrawnJob drawn = draw_job(cell.jobs, cell.transfer.load, JobDraws(seed, instance, source));
  Job job;
  job.name = fmt::format("job-{}", j + 1);
  job.model = model_of(source, drawn.layers.size());
  job.batch = 1;
  job.minibatches = drawn.minibatches;
  JobPlan plan;
  plan.first_layer.resize(drawn.layers.size());
  std::iota(plan.first_layer.begin(), plan.first_layer.end(), 0);
  if (source == j) {
    made.profile.models.push_back({job.model, job.batch, job.optimizer.kind, drawn.layers});
  }
  made.workload.jobs.push_back(std::move(job));
  made.plan.jobs.push_back(std::move(plan));
}

Bytes largest_unit(const Profile& profile) {
  Bytes largest = 0;
  for (const ModelProfile& model : profile.models) {
    for (int s = 0; s < static_cast<int>(model.layers.size()); ++s) {
      largest = std::max(largest, shard_cost(model, s, s + 1).peak());
    }
  }
  return largest;
}

Cluster make_cluster(const StudyCell& cell, Bytes unit) {
  Cluster cluster;
  DeviceSpec device;
  device.kind = "drawn";
  if (cell.transfer.link != LinkKind::kNone) {
    device.memory = unit * cell.memory;
    device.copy_engines = 2;
    device.link.bytes_per_second = kBytesPerSecond;
  }
  if (cell.transfer.link == LinkKind::kShared) {
    cluster.switches.push_back({"host", kBytesPerSecond, kBytesPerSecond, 0, kNoSwitch});
    device.parent = 0;
  }
  for (int d = 0; d < cell.devices.count; ++d) {
    device.name = fmt::format("device-{}", d);
    device.ordinal = d;
    device.speed = cell.devices.speeds[static_cast<std::size_t>(d) % cell.devices.speeds.size()];
    cluster.devices.push_back(device);
  }
  return cluster;
}

std::vector<int> memories(const StudyGrid& grid, const DrawnTransfer& transfer, int slots) {
  if (grid.memory.empty() || transfer.link == LinkKind::kNone) return {slots};
  std::vector<int> enough;
  std::copy_if(grid.memory.begin(), grid.memory.end(), std::back_inserter(enough),
               [&](int memory) { return memory >= slots; });
  return enough;
}

}  // namespace

std::string StudyCell::name() const {
  return fmt::format("{}/{}/{}/{}", jobs.name, devices.name, transfer.name, slots_name());
}

std::string StudyCell::slots_name() const {
  return memory == slots ? fmt::format("{}", slots) : fmt::format("{} in {}", slots, memory);
}

std::vector<StudyCell> cells(const StudyGrid& grid) {
  std::vector<StudyCell> all;
  for (const DrawnJobs& jobs : grid.jobs) {
    for (const DrawnDevices& devices : grid.devices) {
      for (const DrawnTransfer& transfer : grid.transfers) {
        for (const int slots : grid.slots) {
          for (const int memory : memories(grid, transfer, slots)) {
            all.push_back({jobs, devices, transfer, slots, memory});
          }
        }
      }
    }
  }
  return all;
}

StudyInstance draw_instance(const StudyCell& cell, std::uint64_t seed, std::int64_t instance) {
  StudyInstance made;
  for (std::size_t j = 0; j < static_cast<std::size_t>(cell.jobs.count); ++j) {
    add_job(cell, seed, instance, j, made);
  }
  Provenance& from = made.profile.provenance;
  from.device = "drawn";
  from.method = fmt::format("drawn: {}, seed {}, instance {}", cell.name(), seed, instance);
  from.lanes = cell.devices.count;
  made.cluster = make_cluster(cell, largest_unit(made.profile));
  made.plan.slots = cell.slots;
  made.plan.name = cell.name();
  return made;
}

}  // namespace shardlab
