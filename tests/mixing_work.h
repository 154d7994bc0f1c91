#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "core/error.h"
#include "exec/work.h"
#include "sched/lower.h"
#include "sched/program.h"
#include "tests/instances.h"

/// Work for tests of the runtime, and random plans for it.
namespace shardlab {

inline std::uint64_t mix(std::uint64_t a, std::uint64_t b) {
  a = (a ^ (b + 0x9e3779b97f4a7c15u)) * 0xbf58476d1ce4e5b9u;
  return a ^ (a >> 29);
}

/// Work whose data are single numbers: a unit mixes what it reads into what it writes and creates.
/// The end of a job tells whether every unit saw the newest version of everything, without
/// LibTorch, so ThreadSanitizer can watch.
class MixingWork : public Work {
 public:
  MixingWork(const Program& program, std::size_t devices) : program_(program), devices_(devices) {
    for (std::size_t j = 0; j < program.jobs.size(); ++j) {
      const auto& items = program.jobs[j].items;
      host_.emplace_back(items.size());
      for (std::size_t i = 0; i < items.size(); ++i) host_[j][i] = mix(j, i);
      for (auto& device : devices_) device.emplace_back(items.size());
    }
    kept_ = host_;
    lost_.resize(devices);
  }

  void prepare(DeviceId, Engine) override {}

  Pass run(const UnitRun& run) override {
    const Unit& unit = program_.jobs[index(run.job)].units[run.unit];
    on_unit();
    if (run.job == failing_job && run.minibatch == 1) throw Error("made to fail");
    apply(unit, run.minibatch, devices_[index(run.device)][index(run.job)]);
    return {};
  }

  void copy(const Transfer& transfer) override {
    const std::lock_guard lock(mutex_);
    if (lost_[index(transfer.device)]) return;
    std::uint64_t& here = devices_[index(transfer.device)][index(transfer.job)][transfer.item];
    if (transfer.steps) {
      gradients_[{transfer.job, transfer.item}] = here;
      return;
    }
    if (transfer.direction == Direction::kPeer) {
      here = devices_[index(transfer.source)][index(transfer.job)][transfer.item];
      return;
    }
    std::uint64_t& host = host_[index(transfer.job)][transfer.item];
    (transfer.direction == Direction::kPromote ? here : host) =
        transfer.direction == Direction::kPromote ? host : here;
  }

  void step(const Transfer& transfer) override {
    const std::lock_guard lock(mutex_);
    if (lost_[index(transfer.device)]) return;
    if (transfer.job == failing_step && steps_before_failure-- <= 0) throw Error("made to fail");
    step(program_.jobs[index(transfer.job)], transfer.item,
         gradients_.at({transfer.job, transfer.item}), host_[index(transfer.job)]);
  }
  /// The parameters, and their state, by what a unit left in their place.
  static void step(const JobProgram& job, ItemIndex item, std::uint64_t gradient,
                   std::vector<std::uint64_t>& host) {
    for (std::size_t i = 0; i < job.items.size(); ++i) {
      const bool state = job.items[i].kind == ItemKind::kState;
      if (state && job.items[i].shard == job.items[item].shard) host[i] = mix(host[i], gradient);
    }
    host[item] = mix(host[item], gradient);
  }

  void drop(JobId job, ItemIndex item, DeviceId from) override {
    if (from != kNoDevice) devices_[index(from)][index(job)][item] = 0xdead;
  }

  void keep(JobId job, std::int64_t) override { kept_[index(job)] = host_[index(job)]; }
  void restore(JobId job) override {
    for (std::size_t i = 0; i < host_[index(job)].size(); ++i) {
      if (program_.jobs[index(job)].items[i].lasting) {
        host_[index(job)][i] = kept_[index(job)][i];
      }
    }
  }
  void lose(DeviceId device) override {
    const std::lock_guard lock(mutex_);
    lost_[index(device)] = true;
  }

  static void apply(const Unit& unit, std::int64_t minibatch, std::vector<std::uint64_t>& items) {
    std::uint64_t value = static_cast<std::uint64_t>(minibatch);
    for (const ItemIndex i : unit.reads) value = mix(value, items[i]);
    for (const ItemIndex i : unit.writes) items[i] = mix(value, items[i]);
    for (const ItemIndex i : unit.creates) items[i] = mix(value, i);
  }

  /// Parameters and state of a job in host memory.
  [[nodiscard]] std::vector<std::uint64_t> result(std::size_t job) const {
    return lasting(job, host_);
  }
  /// As it was kept last.
  [[nodiscard]] std::vector<std::uint64_t> kept(std::size_t job) const {
    return lasting(job, kept_);
  }
  /// Sets what result() returns.
  void begin_with(std::size_t job, const std::vector<std::uint64_t>& state) {
    auto next = state.begin();
    for (std::size_t i = 0; i < host_[job].size(); ++i) {
      if (program_.jobs[job].items[i].lasting) host_[job][i] = kept_[job][i] = *next++;
    }
  }

  std::function<void()> on_unit = [] {};  ///< Before each. On any lane.

  JobId failing_job = kNoJob;
  JobId failing_step = kNoJob;  ///< Its steps on the host fail, after so many.
  int steps_before_failure = 0;

 private:
  using Items = std::vector<std::vector<std::uint64_t>>;
  [[nodiscard]] std::vector<std::uint64_t> lasting(std::size_t job, const Items& from) const {
    std::vector<std::uint64_t> values;
    for (std::size_t i = 0; i < from[job].size(); ++i) {
      if (program_.jobs[job].items[i].lasting) values.push_back(from[job][i]);
    }
    return values;
  }

  const Program& program_;
  Items host_, kept_;
  std::map<std::pair<JobId, ItemIndex>, std::uint64_t> gradients_;
  std::vector<bool> lost_;
  std::mutex mutex_;  // Of lost_, so that a thread of a lost device changes nothing any more.
  std::vector<std::vector<std::vector<std::uint64_t>>> devices_;
};

/// The same job alone, one unit after another.
inline std::vector<std::uint64_t> alone(const Program& program, std::size_t j) {
  const JobProgram& job = program.jobs[j];
  std::vector<std::uint64_t> items(job.items.size());
  for (std::size_t i = 0; i < items.size(); ++i) items[i] = mix(j, i);
  for (std::int64_t minibatch = 0; minibatch < job.minibatches; ++minibatch) {
    for (const Unit& unit : job.units) {
      const std::vector<std::uint64_t> before = items;
      MixingWork::apply(unit, minibatch, items);
      for (const ItemIndex i : unit.writes) {
        if (!job.items[i].host_steps) continue;
        const std::uint64_t gradient = std::exchange(items[i], before[i]);
        MixingWork::step(job, i, gradient, items);
      }
    }
  }
  std::vector<std::uint64_t> lasting;
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (job.items[i].lasting) lasting.push_back(items[i]);
  }
  return lasting;
}

struct Drawn {
  Program program;
  Cluster cluster;
};

/// Of every three seeds one has no copy engines, one has one and one has two.
inline Drawn draw(std::uint64_t seed) {
  instances::Draw pick(seed);
  instances::Shape shape;
  shape.jobs = 1 + pick(6);
  shape.shards = 1 + pick(4);
  shape.slots = 1 + pick(3);
  shape.minibatches = 4;
  instances::Case drawn = instances::draw(shape, seed);
  const std::size_t devices = 1 + static_cast<std::size_t>(pick(4));
  for (JobPlan& plan : drawn.plan.jobs) {
    if (pick(3) > 0) continue;
    plan.strategy = Strategy::kModelParallel;
    for (int s = 0; s < shape.shards; ++s)
      plan.device.push_back(device_id(static_cast<std::size_t>(s) % devices));
  }
  for (JobPlan& plan : drawn.plan.jobs) {
    plan.step = pick(3) == 0 ? StepPlace::kHost : StepPlace::kDevice;
  }
  for (ModelProfile& model : drawn.profile.models) {
    for (LayerCost& layer : model.layers) layer.host_step = layer.loaded.step;
  }
  if (pick(3) == 0) {
    for (Job& job : drawn.workload.jobs) job.arrival = Duration{pick(3'000'000)};
  }
  LinkSpec link;
  if (pick(2) == 0) link = {Duration{pick(3000)}, 1e7};
  Drawn made{{}, instances::devices(devices, kUnlimited, link, static_cast<int>(seed % 3))};
  if (pick(2) == 0) {
    for (DeviceSpec& device : made.cluster.devices) device.back = {Duration{pick(3000)}, 2e7};
  }
  if (pick(2) == 0) {
    for (DeviceSpec& device : made.cluster.devices)
      device.peer = LinkSpec{Duration{pick(3000)}, 2e7};
  }
  made.program = lower(drawn.workload, made.cluster, drawn.profile, drawn.plan);
  for (DeviceSpec& device : made.cluster.devices)
    device.memory = instances::tight_budget(made.program) + pick(20);
  return made;
}

}  // namespace shardlab
