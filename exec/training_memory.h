#pragma once

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "core/checkpoint.h"
#include "core/cluster.h"
#include "core/workload.h"
#include "exec/host_need.h"
#include "exec/parts.h"
#include "models/model.h"
#include "models/shard_pass.h"
#include "models/text_data.h"
#include "models/torch_device.h"
#include "sched/program.h"

/// What a Training keeps where. Include ATen before making or destroying any of these.
namespace shardlab {

/// Host memory of one job: an array per item, and a second one of those that last. Whoever writes a
/// version takes its array out meanwhile, so that a writer that never ends is in nobody's way.
struct JobMemory {
  /// `copier` is a device that copies from and to this memory: an accelerator where there is one.
  /// Sets parameters and state to `resume`, or to the beginning where that is null. Throws Error
  /// where sizes do not match the model.
  JobMemory(const Job& the_job, const JobProgram& the_program, const std::vector<int>& first,
            std::shared_ptr<const TextData> text, const TorchDevice& copier,
            const Checkpoint* resume);

  /// A place for the version of an item that is about to be written.
  [[nodiscard]] at::Tensor take_place(ItemIndex item);
  /// It is whole, so it becomes current.
  void publish(ItemIndex item, at::Tensor version);

  /// Where the state of the same shard lies.
  [[nodiscard]] ItemIndex state_item(ItemIndex parameters) const;

  /// Copies what is current of parameters and state to a place of their own. Throws where there is
  /// no memory for that; then what was kept before still is.
  void keep(std::int64_t minibatches);
  /// Sets parameters and state to what was kept last, or what the run began with. Requires: nothing
  /// of the job runs or moves but on lost devices. `versions` guards which arrays are current.
  void restore(std::mutex& versions);
  /// Of all layers, without losses: as kept, or as current.
  [[nodiscard]] Checkpoint kept_state() const { return state_of(kept, kept_minibatches); }
  [[nodiscard]] Checkpoint current_state(std::int64_t minibatches) const {
    return state_of(host, minibatches);
  }

  [[nodiscard]] bool gathers() const { return shardlab::gathers(program); }

  const Job& job;
  const JobProgram& program;
  Model model;
  std::shared_ptr<const TextData> data;
  Parts parts;
  int sequences;  ///< Of a microbatch.
  std::vector<ShardPass> shards;
  std::vector<at::Tensor> host;  ///< Per item, the current version.
  std::vector<at::Tensor> next;  ///< Of lasting items: where the next version goes.
  /// Per item, where the host steps with it: the gradient that came, in the array of the next
  /// version, and which step it is of. `versions` guards them, as the two above.
  std::vector<at::Tensor> gradients;
  std::vector<std::int64_t> gradient_steps;
  std::vector<at::Tensor> kept;  ///< Of lasting items; empty before the first keep().
  std::int64_t kept_minibatches = 0;
  /// Of one shard, by whichever replica comes first.
  struct Reduction {
    std::mutex mutex;
    std::condition_variable changed;
    DeviceId by = kNoDevice;  ///< Who adds up now.
    bool lost = false;        ///< With that device.
    std::int64_t done = 0;    ///< Minibatches.
  };
  std::vector<std::shared_ptr<Reduction>> reductions;  ///< Per shard; `versions` guards which.

 private:
  [[nodiscard]] std::int64_t floats_of(const Item& item) const;
  void add(const Item& item);
  void begin();
  void reset_reductions(std::int64_t minibatches);
  void set(const Item& item, at::Tensor& to) const;
  [[nodiscard]] Checkpoint state_of(const std::vector<at::Tensor>& items,
                                    std::int64_t minibatches) const;

  const TorchDevice& copier_;
  const Checkpoint* resume_;
};

/// A device and what lies in its memory.
struct DeviceMemory {
  DeviceMemory(const DeviceSpec& spec, const Program& program);

  TorchDevice device;
  MemoryMeter meter;
  std::vector<std::vector<at::Tensor>> items;  ///< By job and item; undefined: not here.
  /// By job and item: what should be here and found no room.
  std::vector<std::vector<at::Tensor>> elsewhere;
  /// By job and item, kept from forward to backward: one at most.
  std::vector<std::vector<std::vector<Recording>>> graphs;
  /// By job and item, of parameters in whose place lies their gradient: which step it is of.
  std::vector<std::vector<std::int64_t>> step_of;
  /// What the unit that runs adds to was added to in part, or what it uses up is gone.
  bool spoilt = false;
  bool lost = false;  ///< What its threads still do is of no account.
};

}  // namespace shardlab
