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
  JobMemory(const Job& the_job, const JobProgram& program, const std::vector<int>& first,
            std::shared_ptr<const TextData> text)
      : job(the_job), model(the_job.model), data(std::move(text)) {
    data->check(job.model);
    for (std::size_t s = 0; s < first.size(); ++s) {
      const int last = s + 1 < first.size() ? first[s + 1] : model.layers();
      shards.emplace_back(model, first[s], last);
    }
    for (const Item& item : program.items) add(item);
    graphs.resize(shards.size());
  }

  /// Both versions now: the first touch of memory takes ten times as long as a copy.
  void add(const Item& item) {
    const auto floats = static_cast<std::size_t>(floats_of(item));
    if (floats * sizeof(float) != static_cast<std::size_t>(item.bytes) &&
        item.kind != ItemKind::kGraph) {
      throw Error("the profile says " + std::to_string(item.bytes) + " bytes for the " +
                  to_string(item.kind) + " of shard " + std::to_string(item.shard) +
                  ", the model has " + std::to_string(floats * sizeof(float)) +
                  "; profile this workload again");
    }
    host.emplace_back(floats);
    next.emplace_back(item.lasting ? floats : 0);
    if (item.kind != ItemKind::kParameters) return;
    shards[static_cast<std::size_t>(item.shard)].initialize(job.seed, host.back());
  }

  [[nodiscard]] std::int64_t floats_of(const Item& item) const {
    const ShardPass& shard = shards[static_cast<std::size_t>(item.shard)];
    switch (item.kind) {
      case ItemKind::kParameters:
        return shard.parameter_floats();
      case ItemKind::kState:
        return shard.parameter_floats() * state_factor(job.optimizer.kind);
      case ItemKind::kActivation:
      case ItemKind::kGradient:
        return shard.makes_loss() ? 0 : boundary_elements(job.model, job.batch);
      case ItemKind::kGraph:
        return 0;  // Never in host memory.
    }
    return 0;
  }

  const Job& job;
  Model model;
  std::shared_ptr<const TextData> data;
  std::vector<ShardPass> shards;
  std::vector<std::vector<float>> host;          ///< Per item, the current version.
  std::vector<std::vector<float>> next;          ///< Of lasting items: the version being written.
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
      jobs_.push_back(std::make_unique<JobMemory>(job, program.jobs[j], first_layers.at(j), text));
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
  const bool keeps = unit.creates.contains(
      item_index(ItemKind::kGraph, unit.shard, static_cast<int>(job.shards.size())));
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
                  "; try a lower learning rate");
    }
  }
  if (unit.shard > 0) {
    item(run.device, run.job, ItemKind::kGradient, unit.shard - 1) =
        gradients.input.front().contiguous();
  }
  job.shards[s].step(job.job.optimizer, run.minibatch + 1, gradients,
                     item(run.device, run.job, ItemKind::kParameters, unit.shard).data_ptr<float>(),
                     item(run.device, run.job, ItemKind::kState, unit.shard).data_ptr<float>());
  return pass;
}

void Training::copy(const Transfer& transfer) {
  const AccountScope scope(devices_[index(transfer.device)]->account);
  JobMemory& job = *jobs_[index(transfer.job)];
  const Item& item = program_.jobs[index(transfer.job)].items[transfer.item];
  at::Tensor& here = devices_[index(transfer.device)]->items[index(transfer.job)][transfer.item];
  const bool promote = transfer.direction == Direction::kPromote;
  std::vector<float>& host = job.host[transfer.item];
  const std::size_t bytes = host.size() * sizeof(float);
  if (promote) {
    const bool boundary = item.kind == ItemKind::kActivation || item.kind == ItemKind::kGradient;
    if (!here.defined()) here = at::empty({static_cast<std::int64_t>(host.size())}, at::kFloat);
    std::memcpy(here.data_ptr<float>(), host.data(), bytes);
    if (boundary) here = here.view(view_activation(nullptr, job.job.model, job.job.batch).sizes());
    return;
  }
  std::vector<float>& written = item.lasting ? job.next[transfer.item] : host;
  std::memcpy(written.data(), here.data_ptr<float>(), bytes);
  if (item.lasting) host.swap(written);  // Whole, so it becomes current.
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
  const auto& items = program_.jobs[index(id)].items;
  for (std::size_t i = 0; i < items.size(); ++i) {  // All parameters, then all state.
    if (!items[i].lasting) continue;
    XXH64_update(hash, job.host[i].data(), job.host[i].size() * sizeof(float));
    if (!with_parameters || items[i].kind != ItemKind::kParameters) continue;
    result.parameters.insert(result.parameters.end(), job.host[i].begin(), job.host[i].end());
  }
  result.weights_hash = XXH64_digest(hash);
  XXH64_freeState(hash);
  return result;
}

}  // namespace shardlab
