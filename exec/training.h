#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "core/checkpoint.h"
#include "core/cluster.h"
#include "core/workload.h"
#include "exec/executor.h"
#include "exec/work.h"
#include "models/memory_account.h"
#include "models/model.h"
#include "models/shard_pass.h"
#include "models/text_data.h"
#include "sched/program.h"

namespace shardlab {

struct DeviceMemory;
struct JobMemory;
struct Minibatch;

/// Host and device memory of all jobs, and the passes over them, on LibTorch.
///
/// Host memory keeps an array per item, page-locked where there is an accelerator. A demotion
/// writes a second version, which becomes current when it is whole. Device memory is a tensor per
/// item; on the CPU it is charged to the device's account with the device's budget as its limit, so
/// that no lane can take more than it was given.
///
/// An accelerator runs behind its caller, so every unit and every copy ends by waiting for its own
/// queue. What the Driver is told is therefore done: no other order between queues is needed.
class Training final : public Work {
 public:
  /// Writes a job's state after so many minibatches, the `last` of the run or not, which it makes
  /// by `state`, all but its losses, to disk. Must not throw.
  using Save = std::function<void(JobId, std::int64_t minibatches, bool last,
                                  const std::function<Checkpoint()>& state)>;

  /// Makes and initializes all models, or sets them to `resume` (see RunOptions), which outlives
  /// the Training. Throws Error on missing data or a model that cannot be made.
  Training(const Workload& workload, const Cluster& cluster, const Program& program,
           const std::vector<std::vector<int>>& first_layers,
           const std::vector<const Checkpoint*>& resume, Save save);
  ~Training() override;

  void prepare(DeviceId device, Engine engine) override;
  void begin() override;
  Pass run(const UnitRun& run) override;
  void copy(const Transfer& transfer) override;
  void step(const Transfer& transfer) override;
  void drop(JobId job, ItemIndex item, DeviceId from) override;
  void keep(JobId job, std::int64_t minibatches) override;
  void restore(JobId job) override;
  [[nodiscard]] DeviceId awaited(DeviceId device) const override;
  void lose(DeviceId device) override;
  void save(JobId job) override;
  void save_settled(JobId job, std::int64_t minibatches) override;

  [[nodiscard]] Bytes peak(DeviceId device) const;
  /// From host memory. Requires: no run in progress, the job flushed.
  [[nodiscard]] TrainedJob result(JobId job, bool with_parameters) const;

 private:
  [[nodiscard]] at::Tensor& item(const UnitRun& run, const Unit& unit, ItemKind kind, int shard);
  /// The same where a unit reads it; throws Error when its promotion found no room.
  [[nodiscard]] const at::Tensor& present(const UnitRun& run, const Unit& unit, ItemKind kind,
                                          int shard);
  Pass compute(const UnitRun& run, const Unit& unit);
  [[noreturn]] void explain(const UnitRun& run, const Unit& unit);
  void receive(JobId job, ItemIndex item, const at::Tensor& from, DeviceMemory& memory);
  void promote(const Transfer& transfer);
  void send(const Transfer& transfer);
  at::Tensor copy_home(JobId id, ItemIndex i, const at::Tensor& from, const DeviceMemory& memory);
  void demote(const Transfer& transfer);
  bool leave_nothing(const UnitRun& run, const Unit& unit);
  void forward(const UnitRun& run, const Unit& unit);
  Pass backward(const UnitRun& run, const Unit& unit);
  void reduce(const UnitRun& run, const Unit& unit);
  [[nodiscard]] std::optional<DeviceFailure> find_failed(const UnitRun& run, const Unit& unit);
  bool holds_sum(std::size_t device, const UnitRun& run, const Unit& unit);
  static void finish(const DeviceMemory& memory, DeviceId of = kNoDevice);
  void hand_in(const UnitRun& run, const Unit& unit);
  template <typename Where>
  std::vector<at::Tensor> sums_of_replicas(const UnitRun& run, const Unit& unit,
                                           const Where& where);
  void add_up(const UnitRun& run, const Unit& unit);
  void add_up_handed_in(const UnitRun& run, const Unit& unit, const at::Tensor& mine);
  static void add_up(DeviceMemory& memory, const std::vector<at::Tensor>& sums,
                     const std::vector<at::Tensor>& into);
  void step_on_sums(const UnitRun& run, const Unit& unit);
  void step(const UnitRun& run, const Unit& unit, const Gradients& gradients);
  Recording record(const UnitRun& run, const Unit& unit);
  std::vector<Recording> take_graph(const UnitRun& run, const Unit& unit);
  std::vector<Recording>& graph_of(const UnitRun& run, ItemIndex item);
  [[nodiscard]] at::Tensor sums(const UnitRun& run, const Unit& unit);
  static void note_loss(double loss, Pass& pass);
  [[nodiscard]] Minibatch minibatch(const UnitRun& run, const Unit& unit) const;
  [[nodiscard]] PassKey key(const UnitRun& run, const Unit& unit) const;

  const Workload& workload_;
  const Cluster& cluster_;
  const Program& program_;
  Save save_;
  std::vector<std::unique_ptr<JobMemory>> jobs_;
  std::vector<std::unique_ptr<DeviceMemory>> devices_;
  std::vector<std::atomic<DeviceId>> awaits_;  ///< By device; see awaited().
  std::mutex versions_;  ///< Of which arrays of host memory are current, and who is lost.
};

}  // namespace shardlab
