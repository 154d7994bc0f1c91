#include "validate/ranking_case.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "core/counter_hash.h"
#include "sched/shard_cost.h"

namespace shardlab {
namespace {

enum class Platform : std::uint8_t { kCpu, kEmulated };
constexpr double kCpuSeconds = 0.65, kEmulatedSeconds = 0.5;  ///< Of computing per device.

/// Numbers one after another, of one case.
class Draws {
 public:
  Draws(std::uint64_t seed, Platform platform, int number)
      : seed_(seed), case_(static_cast<std::uint64_t>(number) * 2 + static_cast<int>(platform)) {}

  double uniform(double from, double to) {
    return from + (to - from) * unit_interval(counter_hash({seed_, case_, next_++}));
  }
  double log_uniform(double from, double to) {
    return std::exp(uniform(std::log(from), std::log(to)));
  }
  int whole(int from, int to) {
    return std::min(to, from + static_cast<int>(uniform(0, to - from + 1)));
  }

 private:
  std::uint64_t seed_, case_, next_ = 0;
};

/// Of one minibatch: what its units compute, and what is promoted for them if nothing stays.
struct MinibatchLoad {
  double computing_s = 0;
  double bytes = 0;
};

MinibatchLoad load_of(const ModelProfile& model) {
  MinibatchLoad load;
  for (std::size_t l = 0; l < model.layers.size(); ++l) {
    const LayerCost& layer = model.layers[l];
    const bool last = l + 1 == model.layers.size();  // Its forward and backward are one unit.
    const LayerTimes& times = layer.loaded;
    load.computing_s += seconds(total(times) - (last ? times.forward.median : Duration{}));
    load.bytes += static_cast<double>((last ? 1 : 2) * layer.parameters + layer.state);
  }
  return load;
}

const ModelProfile& model_of(const RankingCase& made, const Job& job) {
  return find(made.profile, job.model, job.batch, job.optimizer.kind);
}

/// Memory and links of all devices. Times are of a device of speed 1.
void equip(RankingCase& made, Draws& draws) {
  Bytes largest = 0;
  MinibatchLoad sum;
  for (const Job& job : made.workload.jobs) {
    const ModelProfile& model = model_of(made, job);
    const int layers = static_cast<int>(model.layers.size());
    for (int l = 0; l < layers; ++l) {
      largest = std::max(largest, shard_cost(model, l, l + 1).peak());
    }
    const MinibatchLoad load = load_of(model);
    sum.computing_s += load.computing_s * static_cast<double>(job.minibatches);
    sum.bytes += load.bytes * static_cast<double>(job.minibatches);
  }
  const auto memory =
      static_cast<Bytes>(static_cast<double>(kRankingSlots * largest) * draws.uniform(1.1, 3));
  const LinkSpec link{std::chrono::microseconds(50),
                      sum.bytes / (draws.log_uniform(0.1, 0.7) * sum.computing_s)};
  const int engines = draws.whole(1, 2);
  for (DeviceSpec& device : made.cluster.devices) {
    device.memory = memory;
    device.link = link;
    if (device.kind == kEmulated) device.copy_engines = engines;
  }
}

Job job_of(const std::string& name, const ModelSpec& model, const std::string& text) {
  Job job;
  job.name = name;
  job.model = model;
  job.batch = 8;
  job.minibatches = 1;
  job.seed = 1;
  job.data = text;
  return job;
}

DeviceSpec device_of(const std::string& name, const std::string& kind) {
  DeviceSpec device;
  device.name = name;
  device.kind = kind;
  return device;
}

Measured exactly(double seconds) { return {Duration{std::llround(seconds * 1e9)}, Duration{}, 1}; }

/// Layers of drawn times and sizes, of a model that is told apart by `number`.
ModelProfile made_up_model(int number, double speed_up, Draws& draws) {
  ModelProfile model{{Architecture::kMlp, number + 1, 1, 1, 1, 0}, 8, OptimizerKind::kAdamW, {}};
  const int layers = draws.whole(2, 5);
  for (int l = 0; l < layers; ++l) {
    LayerCost layer;
    layer.name = fmt::format("layer {}", l);
    const double forward = draws.uniform(1, 4) * speed_up;
    layer.loaded.forward = exactly(forward);
    layer.loaded.recompute = exactly(1.1 * forward);
    layer.loaded.backward = exactly(1.9 * forward);
    layer.loaded.step = exactly(0.3 * forward);
    layer.alone = layer.loaded;
    layer.parameters = static_cast<Bytes>(draws.uniform(20, 80)) << 20;
    layer.state = 2 * layer.parameters;
    layer.output = Bytes{1} << 20;
    model.layers.push_back(std::move(layer));
  }
  return model;
}

}  // namespace

Workload ranking_models(const std::string& text) {
  constexpr int kContext = 32;
  const std::array<ModelSpec, 5> models{{{Architecture::kGpt, 2, 64, 2, kContext, 0},
                                         {Architecture::kGpt, 3, 96, 3, kContext, 0},
                                         {Architecture::kGpt, 5, 48, 2, kContext, 0},
                                         {Architecture::kBert, 4, 64, 2, kContext, 0},
                                         {Architecture::kMlp, 4, 160, 1, kContext, 0}}};
  Workload workload;
  for (const ModelSpec& model : models) {
    workload.jobs.push_back(job_of(describe(model), model, text));
  }
  return workload;
}

Cluster ranking_devices() {
  Cluster cluster;
  for (const char* name : {"cpu-0", "cpu-1"}) cluster.devices.push_back(device_of(name, "cpu"));
  return cluster;
}

RankingCase draw_cpu_case(std::uint64_t seed, int number, const Profile& profile,
                          const std::string& text) {
  Draws draws(seed, Platform::kCpu, number);
  RankingCase made{fmt::format("cpu-{}", number), {}, ranking_devices(), profile};
  const std::vector<Job> models = ranking_models(text).jobs;
  const int jobs = draws.whole(4, 6);
  std::vector<double> lengths;
  double sum = 0;
  for (int j = 0; j < jobs; ++j) {
    Job job =
        models.at(static_cast<std::size_t>(draws.whole(0, static_cast<int>(models.size()) - 1)));
    job.name = fmt::format("job-{}", j);
    job.seed = static_cast<std::uint64_t>(j) + 1;
    made.workload.jobs.push_back(std::move(job));
    sum += lengths.emplace_back(draws.log_uniform(0.1, 1));
  }
  const double all_s = kCpuSeconds * static_cast<double>(made.cluster.devices.size());
  for (std::size_t j = 0; j < lengths.size(); ++j) {
    Job& job = made.workload.jobs[j];
    const double count = lengths[j] / sum * all_s / load_of(model_of(made, job)).computing_s;
    job.minibatches = std::max<std::int64_t>(1, std::llround(count));
  }
  equip(made, draws);
  return made;
}

RankingCase draw_emulated_case(std::uint64_t seed, int number) {
  constexpr int kDevices = 8;
  Draws draws(seed, Platform::kEmulated, number);
  RankingCase made{fmt::format("emulated-{}", number), {}, {}, {}};
  const std::array<double, 3> speeds{1, draws.uniform(1, 1.5), draws.uniform(0.6, 1)};
  double speed = 0;
  for (int d = 0; d < kDevices; ++d) {
    DeviceSpec device = device_of(fmt::format("device-{}", d), kEmulated);
    device.speed = speeds.at(static_cast<std::size_t>(draws.whole(0, 2)));
    speed += device.speed;
    made.cluster.devices.push_back(std::move(device));
  }
  const int jobs = draws.whole(16, 28);
  double work = 0;
  std::vector<double> lengths;
  for (int j = 0; j < jobs; ++j) {
    made.profile.models.push_back(made_up_model(j, draws.log_uniform(0.3, 1), draws));
    const ModelProfile& model = made.profile.models.back();
    Job job = job_of(fmt::format("job-{}", j), model.model, "");
    job.minibatches = draws.whole(3, 10);
    work += load_of(model).computing_s * static_cast<double>(job.minibatches);
    made.workload.jobs.push_back(std::move(job));
  }
  const double shorter = kEmulatedSeconds * speed / work;
  for (ModelProfile& model : made.profile.models) {
    for (LayerCost& layer : model.layers) {
      for (Measured LayerTimes::*phase : {&LayerTimes::forward, &LayerTimes::recompute,
                                          &LayerTimes::backward, &LayerTimes::step}) {
        (layer.loaded.*phase) = exactly(seconds((layer.loaded.*phase).median) * shorter);
      }
      layer.alone = layer.loaded;
    }
  }
  equip(made, draws);
  return made;
}

Program computing_alone(Program program) {
  program.slots = 1;
  program.copy_alone = program.copy_loaded = {};
  program.dispatch_alone = program.dispatch_loaded = {};
  for (JobProgram& job : program.jobs) {
    for (Unit& unit : job.units) unit.alone = unit.loaded;
  }
  for (auto& jobs : program.times) {
    for (auto& units : jobs) {
      for (UnitTimes& times : units) times.alone = times.loaded;
    }
  }
  return program;
}

Cluster computing_alone(const Cluster& cluster) {
  Cluster bare;
  for (const DeviceSpec& device : cluster.devices) {
    bare.devices.push_back(device_of(device.name, device.kind));
    bare.devices.back().speed = device.speed;
  }
  return bare;
}

}  // namespace shardlab
