#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/bytes.h"
#include "core/cost_field.h"
#include "core/device_work.h"
#include "core/model.h"
#include "core/phase.h"
#include "core/time.h"

namespace shardlab {

/// A measured time: the median of `samples` values and the distance between their quartiles.
struct Measured {
  Duration median{};
  Duration spread{};  ///< 75th minus 25th percentile.
  std::int64_t samples = 0;
  /// Of the median: how long kernels ran on an accelerator, by its activity records; the rest are
  /// gaps between launches. None: not recorded.
  std::optional<Duration> busy = std::nullopt;
  /// Of the samples, those beyond Tukey's outer fences: further from a quartile than three times
  /// the spread. They are samples like the others.
  std::int64_t outliers = 0;
};

/// Device busy time of one layer for one minibatch.
struct LayerTimes {
  Measured forward;    ///< Without autograd.
  Measured recompute;  ///< Forward again inside a backward unit, recording the graph.
  Measured backward;   ///< Without recomputation of the forward pass.
  Measured step;       ///< Optimizer step over the layer's parameters.
};

/// Of all four phases.
inline Duration total(const LayerTimes& times) {
  return times.forward.median + times.recompute.median + times.backward.median + times.step.median;
}

/// What one layer costs on one kind of device for one minibatch.
struct LayerCost {
  std::string name;
  LayerTimes alone;   ///< Nothing else computes on the machine.
  LayerTimes loaded;  ///< All other devices of the cluster compute too.
  Bytes parameters = 0;
  Bytes state = 0;   ///< Optimizer state; gradients are as large as the parameters.
  Bytes output = 0;  ///< Activation at its upper boundary, which a cut there must carry.
  Bytes forward_workspace =
      0;            ///< Peak of a forward without autograd, beyond parameters, input and output.
  Bytes saved = 0;  ///< Held from a forward with autograd until its backward, beyond parameters,
                    ///< input and output.
  Bytes backward_workspace =
      0;             ///< Peak of a backward beyond all of the above, gradients and both boundaries.
  Bytes frozen = 0;  ///< Parameters that a job does not train, beyond `parameters`; in no file.
  MissingCosts missing = {};  ///< Alike in `alone` and `loaded`.
  /// The optimizer's step on the host, with parameters, state and gradient in its memory. None: not
  /// measured, which only a plan that steps there minds.
  std::optional<Measured> host_step = std::nullopt;
  /// What an accelerator's activity records say of it alone; nobody computes with it.
  std::map<Phase, DeviceWork> recorded = {};
};

/// Costs of one model at one batch size with one optimizer.
struct ModelProfile {
  ModelSpec model;
  int batch = 0;
  OptimizerKind optimizer = OptimizerKind::kAdamW;
  std::vector<LayerCost> layers;
  /// One minibatch alone, timed as a whole: what the times of its layers should add up to.
  std::optional<Measured> whole = std::nullopt;
  /// Minibatches of the rounds that time layers, timed around each unit besides: by events on an
  /// accelerator, by the clock on a CPU.
  std::optional<Measured> around = std::nullopt;
  /// Of activity records: what belongs to no layer, and, in an import, an optimizer's step.
  std::optional<DeviceWork> unattributed = std::nullopt, whole_step = std::nullopt;
  /// Of an imported model: a minibatch's inputs, and the most that its targets take. None: missing.
  std::optional<Bytes> input = std::nullopt;
  /// Of an imported model: what its matrix products were computed in. None: not known.
  std::optional<Precision> imported_precision = std::nullopt;
  int first_trained = 0;  ///< Layers below it only run forward (see job_profile()); in no file.
  /// Estimated, not measured: nine of ten true times lie within a factor of 1 + this, either way.
  std::optional<double> interval = std::nullopt;
};

/// Least-squares line through copy times: latency + bytes / rate.
struct CopyCost {
  Duration latency{};
  double bytes_per_second = 0;
};

/// Per unit: from its start on the lane to the first operator, and from the last to its end.
struct HostCosts {
  CopyCost copy;  ///< Host memory to a device's, by the thread of the lane or a copy engine.
  Duration unit_overhead{};  ///< Per unit on the lane: binding parameters, bookkeeping; and until
                             ///< the host is ahead of an accelerator that was idle.
  /// Before a unit: decision and hand-over. Alone also what it loses as the lane has rested.
  Duration dispatch{};
  CopyCost copy_back{};  ///< As `copy`, device to host.
  MissingCosts missing = {};
};

/// What the activity records of an accelerator say of the measurement itself.
struct ActivityFacts {
  std::string source;        ///< "CUPTI activity records", and what went wrong.
  double unattributed = 0;   ///< Share of the kernels' time that belongs to no layer.
  double by_launch = 0;      ///< Share attributed only by the time of the launch.
  double slow_down = 0;      ///< Of a minibatch while records are taken, relative.
  std::int64_t dropped = 0;  ///< Records lost or unusable.
  /// Share whose launch lies in the time of another layer's launches, and not of its own.
  double mismatched = 0;
  /// What the layers' records add up to, kernels and the time between them, over what events around
  /// the same minibatches say. None: not known.
  std::optional<double> over_events = std::nullopt;
};

/// Of the 95 % intervals of medians (see profiler/median_interval.h), over minibatches.
struct Repeats {
  double interval = 0;  ///< The widest: half of its width over the median.
  double wanted = 0;    ///< Below which no round was begun.
  std::string ended;    ///< By what: "interval", "time" or "rounds".
};

/// Something of the machine that its speed depends on, in words: "clock", "1.9 GHz".
struct Condition {
  std::string what;
  std::string before;  ///< The measurement; or why it is not known.
  std::string after;
};

/// How the entries of a profile that nobody measured came about; fit/ makes them.
struct Estimate {
  std::string method;
  std::vector<std::string> inputs;  ///< Profiles and data sheets.
  double interval = 0;              ///< The widest ModelProfile::interval.
  /// Median relative error of measured minibatches, each estimated from the others. None: there
  /// were no others.
  std::optional<double> held_out = std::nullopt;
};

/// A file from which costs were imported, or sizes filled.
struct SourceFile {
  std::string name;  ///< Without its folder.
  Bytes bytes = 0;
  std::string xxh3;  ///< As xxhsum -H3 prints it, 16 digits.

  bool operator==(const SourceFile&) const = default;
};

/// Where the numbers come from. A profile of another machine, batch or library is refused or
/// flagged.
struct Provenance {
  std::string device;    ///< Processor or GPU name.
  std::string libtorch;  ///< Version.
  std::string shardlab;  ///< Version.
  std::string date;      ///< ISO 8601, UTC.
  std::string method;    ///< For example "clock, round robin".
  int lanes = 1;         ///< Lanes busy while `loaded` was measured.
  int threads_per_lane = 1;
  int warm_up = 0;        ///< Rounds thrown away.
  int rounds = 0;         ///< Rounds kept.
  double drift = 0;       ///< Largest relative change of fixed work: before, between and after.
  Duration fixed_work{};  ///< Its median time; a run compares its own. 0: not known.
  std::optional<ActivityFacts> activity = std::nullopt;
  std::optional<Repeats> repeats = std::nullopt;
  std::vector<Condition> conditions = {};
  /// What the accelerator's allocator took beyond what it was asked for, relative, at its peak
  /// while bytes were counted. None: the CPU, where what is asked for counts.
  std::optional<double> allocator_rounding = std::nullopt;
  /// Of imported costs, in words: what was derived or left unused, set by the user or filled.
  std::vector<std::string> notes = {};
  std::vector<SourceFile> sources = {};              ///< Of imported costs.
  std::optional<Estimate> estimated = std::nullopt;  ///< Where some entry was not measured.
};

struct Profile {
  Provenance provenance;
  HostCosts alone;
  HostCosts loaded;
  std::vector<ModelProfile> models;
  /// Of other kinds of devices, by the name that DeviceSpec::costs gives them.
  std::map<std::string, std::shared_ptr<const Profile>> others = {};
  std::string path = {};  ///< Where it was read, for messages; else empty.
};

/// The entry for this model, batch and optimizer. Throws Error naming what is missing, a cost of a
/// layer too, and what the profile has. Dropout's probability is part of the model: its masks cost
/// time.
const ModelProfile& find(const Profile& profile, const ModelSpec& model, int batch,
                         OptimizerKind optimizer);

/// Throws the same where no batch of the model is known, or costs of this one are missing.
void refuse_unknown(const Profile& profile, const ModelSpec& model, int batch,
                    OptimizerKind optimizer);

/// What is missing of a model's layers, "saved_bytes of layer 3 (conv2) and 4 more",
/// "step_ns of every layer", or nothing.
std::vector<std::string> missing_costs(const ModelProfile& model);

/// The entry, where the profile has it.
const ModelProfile* find_entry(const Profile& profile, const ModelSpec& model, int batch,
                               OptimizerKind optimizer);

/// Throws one Error that names all that is missing of these entries of the profile and of these
/// costs of its host, and the options of `import` that supply it.
void refuse_missing(const Profile& profile, std::span<const ModelProfile* const> entries,
                    std::span<const CostField> of_host);

/// Whether an accelerator was measured, as far as the profile says it.
std::optional<bool> of_accelerator(const Provenance& provenance);

}  // namespace shardlab
