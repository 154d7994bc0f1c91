#include "exec/training.h"

#include <chrono>
#include <cmath>
#include <cstring>
#include <map>
#include <span>
#include <string>
#include <utility>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <xxhash.h>

#include "core/error.h"
#include "models/validate.h"

namespace shardlab {

/// One shard's tokens and targets of a minibatch.
struct Minibatch {
  at::Tensor tokens, targets;
};

struct Training::JobMemory {
  JobMemory(const Job& the_job, const std::vector<int>& first, std::shared_ptr<const TextData> text)
      : job(the_job), model(the_job.model), data(std::move(text)) {
    data->check(job.model);
    for (std::size_t s = 0; s < first.size(); ++s) {
      const int last = s + 1 < first.size() ? first[s + 1] : model.layers();
      shards.emplace_back(model, first[s], last);
      const auto floats = static_cast<std::size_t>(shards[s].parameter_floats());
      arenas.emplace_back(floats *
                          (1 + static_cast<std::size_t>(state_factor(job.optimizer.kind))));
      shards[s].initialize(job.seed, std::span(arenas[s]).first(floats));
    }
    next.resize(arenas.size());
    boundary[0].resize(shards.size());
    boundary[1].resize(shards.size());
    graphs.resize(shards.size());
  }

  /// Where an item sits in host memory: activations and gradients, too, once they were demoted.
  std::span<float> host(const Item& item, bool write) {
    const auto s = static_cast<std::size_t>(item.shard);
    const auto floats = static_cast<std::size_t>(shards[s].parameter_floats());
    const std::size_t wanted = static_cast<std::size_t>(item.bytes) / sizeof(float);
    if (item.kind == ItemKind::kParameters || item.kind == ItemKind::kState) {
      std::vector<float>& arena = write ? next[s] : arenas[s];
      if (arena.empty()) arena.resize(arenas[s].size());
      return item.kind == ItemKind::kParameters ? std::span(arena).first(floats)
                                                : std::span(arena).subspan(floats);
    }
    auto& values = boundary[item.kind == ItemKind::kActivation ? 0 : 1][s];
    values.resize(wanted);
    return values;
  }

  /// The version that was just written becomes current.
  void publish(const Item& item) {
    if (item.kind != ItemKind::kParameters && item.kind != ItemKind::kState) return;
    const auto s = static_cast<std::size_t>(item.shard);
    const auto floats = shards[s].parameter_floats();
    const auto first = item.kind == ItemKind::kParameters ? 0 : floats;
    const auto last =
        item.kind == ItemKind::kParameters ? floats : static_cast<std::int64_t>(arenas[s].size());
    std::swap_ranges(next[s].begin() + first, next[s].begin() + last, arenas[s].begin() + first);
  }

  const Job& job;
  Model model;
  std::shared_ptr<const TextData> data;
  std::vector<ShardPass> shards;
  std::vector<std::vector<float>>
      arenas;                            ///< Per shard: [parameters | state], the current version.
  std::vector<std::vector<float>> next;  ///< The version being written.
  std::vector<std::vector<float>>
      boundary[2];  ///< Activations, gradients; per shard below the boundary.
  std::vector<std::optional<Recording>> graphs;  ///< Kept from forward to backward.
};

struct Training::DeviceMemory {
  DeviceMemory(Bytes budget, const Program& program) : account(budget) {
    for (const JobProgram& job : program.jobs) items.emplace_back(job.items.size());
  }
  MemoryAccount account;
  std::vector<std::vector<at::Tensor>> items;  ///< By job and item; undefined: not here.
};

namespace {

PassKey key(const Job& job, const UnitRun& run) { return {job.seed, run.minibatch, 0}; }

Minibatch make_minibatch(const Job& job, const TextData& data, std::int64_t step) {
  const auto longs = at::TensorOptions().dtype(at::kLong);
  Minibatch made{at::empty({job.batch, inputs_per_sequence(job.model)}, longs),
                 at::empty({job.batch, targets_per_sequence(job.model)}, longs)};
  const auto span = [](at::Tensor& ids) {
    return std::span(ids.data_ptr<std::int64_t>(), static_cast<std::size_t>(ids.numel()));
  };
  data.batch(job.model, job.batch, job.seed, step, span(made.tokens), span(made.targets));
  return made;
}

}  // namespace

Training::Training(const Workload& workload, const Cluster& cluster, const Program& program,
                   const std::vector<std::vector<int>>& first_layers)
    : workload_(workload), cluster_(cluster), program_(program) {
  for (const DeviceSpec& device : cluster.devices) {
    devices_.push_back(std::make_unique<DeviceMemory>(device.memory, program));
  }
  std::map<std::string, std::shared_ptr<const TextData>> texts;
  for (std::size_t j = 0; j < workload.jobs.size(); ++j) {
    const Job& job = workload.jobs[j];
    in_context(job.name, [&] {
      auto& text = texts[job.data];
      if (!text) text = std::make_shared<const TextData>(TextData::load(job.data));
      jobs_.push_back(std::make_unique<JobMemory>(job, first_layers.at(j), text));
    });
  }
}

Training::~Training() = default;

void Training::prepare(DeviceId device) {
  at::set_num_threads(cluster_.devices[index(device)].threads);
}

Work::Pass Training::run(const UnitRun& run) {
  const Unit& unit = program_.jobs[index(run.job)].units[run.unit];
  const AccountScope scope(devices_[index(run.device)]->account);
  if (unit.kind != UnitKind::kForward) return backward(run, unit);
  forward(run, unit);
  return {};
}

at::Tensor& Training::item(DeviceId device, JobId job, ItemKind kind, int shard) {
  const int shards = static_cast<int>(jobs_[index(job)]->shards.size());
  return devices_[index(device)]->items[index(job)][item_index(kind, shard, shards)];
}

void Training::forward(const UnitRun& run, const Unit& unit) {
  JobMemory& job = *jobs_[index(run.job)];
  const ShardPass& shard = job.shards[static_cast<std::size_t>(unit.shard)];
  at::Tensor& output = item(run.device, run.job, ItemKind::kActivation, unit.shard);
  const bool keeps = program_.jobs[index(run.job)].items.size() > 0 &&
                     unit.creates.contains(item_index(ItemKind::kGraph, unit.shard,
                                                      static_cast<int>(job.shards.size())));
  if (keeps) {
    Recording recording = record(run, unit);
    output = recording.output.front().detach();
    job.graphs[static_cast<std::size_t>(unit.shard)] = std::move(recording);
    return;
  }
  const at::Tensor input = shard.takes_tokens()
                               ? make_minibatch(job.job, *job.data, run.minibatch).tokens
                               : item(run.device, run.job, ItemKind::kActivation, unit.shard - 1);
  const float* parameters =
      item(run.device, run.job, ItemKind::kParameters, unit.shard).data_ptr<float>();
  output = shard.forward(parameters, input, key(job.job, run));
}

/// The shard's forward, with its graph.
Recording Training::record(const UnitRun& run, const Unit& unit) {
  JobMemory& job = *jobs_[index(run.job)];
  const ShardPass& shard = job.shards[static_cast<std::size_t>(unit.shard)];
  const float* parameters =
      item(run.device, run.job, ItemKind::kParameters, unit.shard).data_ptr<float>();
  Minibatch data;
  if (shard.takes_tokens() || shard.makes_loss()) {
    data = make_minibatch(job.job, *job.data, run.minibatch);
  }
  const at::Tensor input = shard.takes_tokens()
                               ? data.tokens
                               : item(run.device, run.job, ItemKind::kActivation, unit.shard - 1);
  return shard.makes_loss() ? shard.record(parameters, input, data.targets, key(job.job, run))
                            : shard.record(parameters, input, key(job.job, run));
}

Work::Pass Training::backward(const UnitRun& run, const Unit& unit) {
  JobMemory& job = *jobs_[index(run.job)];
  const auto s = static_cast<std::size_t>(unit.shard);
  const bool fused = unit.kind == UnitKind::kFused;
  const auto start = std::chrono::steady_clock::now();
  std::optional<Recording> recording = std::exchange(job.graphs[s], std::nullopt);
  Pass pass;
  if (!recording) {
    recording = record(run, unit);
    if (!fused) pass.recompute = std::chrono::steady_clock::now() - start;
  }
  const Gradients gradients =
      fused ? job.shards[s].backward(std::move(*recording))
            : job.shards[s].backward(std::move(*recording),
                                     item(run.device, run.job, ItemKind::kGradient, unit.shard));
  if (fused) {
    pass.has_loss = true;
    pass.loss = gradients.loss;
    if (!std::isfinite(pass.loss)) {
      throw Error("the loss is " +
                  std::string(std::isnan(pass.loss) ? "not a number" : "infinite") +
                  " at minibatch " + std::to_string(run.minibatch) + "; try a lower learning rate");
    }
  }
  job.shards[s].step(job.job.optimizer, run.minibatch + 1, gradients,
                     item(run.device, run.job, ItemKind::kParameters, unit.shard).data_ptr<float>(),
                     item(run.device, run.job, ItemKind::kState, unit.shard).data_ptr<float>());
  if (unit.shard > 0) {
    item(run.device, run.job, ItemKind::kGradient, unit.shard - 1) =
        gradients.input.front().contiguous();
  }
  return pass;
}

void Training::copy(const Transfer& transfer) {
  const AccountScope scope(devices_[index(transfer.device)]->account);
  JobMemory& job = *jobs_[index(transfer.job)];
  const Item& item = program_.jobs[index(transfer.job)].items[transfer.item];
  at::Tensor& here = devices_[index(transfer.device)]->items[index(transfer.job)][transfer.item];
  const bool promote = transfer.direction == Direction::kPromote;
  const std::span<float> host = job.host(item, !promote);
  if (promote) {
    const bool boundary = item.kind == ItemKind::kActivation || item.kind == ItemKind::kGradient;
    if (!here.defined()) here = at::empty({static_cast<std::int64_t>(host.size())}, at::kFloat);
    std::memcpy(here.data_ptr<float>(), host.data(), host.size_bytes());
    if (boundary) here = here.view(view_activation(nullptr, job.job.model, job.job.batch).sizes());
  } else {
    std::memcpy(host.data(), here.data_ptr<float>(), host.size_bytes());
    job.publish(item);
  }
}

void Training::drop(JobId job, ItemIndex i, DeviceId from) {
  if (from == kNoDevice) return;  // Host buffers are kept for the next minibatch.
  const Item& item = program_.jobs[index(job)].items[i];
  if (item.kind == ItemKind::kGraph)
    jobs_[index(job)]->graphs[static_cast<std::size_t>(item.shard)].reset();
  devices_[index(from)]->items[index(job)][i].reset();
}

Bytes Training::peak(DeviceId device) const { return devices_[index(device)]->account.peak(); }

TrainedJob Training::result(JobId id, bool with_parameters) const {
  const JobMemory& job = *jobs_[index(id)];
  TrainedJob result;
  XXH64_state_t* hash = XXH64_createState();
  XXH64_reset(hash, 0);
  for (const bool state : {false, true}) {
    for (std::size_t s = 0; s < job.arenas.size(); ++s) {
      const auto floats = static_cast<std::size_t>(job.shards[s].parameter_floats());
      const std::span<const float> part =
          state ? std::span(job.arenas[s]).subspan(floats) : std::span(job.arenas[s]).first(floats);
      XXH64_update(hash, part.data(), part.size_bytes());
      if (with_parameters && !state) {
        result.parameters.insert(result.parameters.end(), part.begin(), part.end());
      }
    }
  }
  result.weights_hash = XXH64_digest(hash);
  XXH64_freeState(hash);
  return result;
}

}  // namespace shardlab
