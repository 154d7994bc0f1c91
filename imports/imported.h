#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/profile.h"

namespace shardlab {

/// Something of a file that did not become part of the profile.
struct Unused {
  std::int64_t count = 0;
  std::string what;  ///< "kernels"
  std::string why;   ///< "their launch is not in the trace"
};

/// The reasons behind a refusal: of what was left out before nothing was left.
template <typename Counts>
std::string what_was_lost(const Counts& unusable, const char* what) {
  std::string text;
  for (const auto& [why, count] : unusable) {
    text += "; could not use " + std::to_string(count) + " " + what + ": " + why;
  }
  return text;
}

/// How long the devices of a trace worked, over all of it. Layers may overlap: the parts may then
/// be more than the whole.
struct DeviceTime {
  Duration all{};                                  ///< The union of all work.
  Duration layers{}, optimizer{}, unattributed{};  ///< Sums of unions, by layer, phase, minibatch.
};

/// One model as a file of others knows it. What the file does not say is missing, never zero.
struct Imported {
  ModelProfile model;
  HostCosts host;  ///< Alone and loaded alike.
  std::string device;
  std::string method;  ///< How the numbers were taken from the file.
  /// Optimizer step of the whole model, where the file does not tell layers apart.
  std::optional<Measured> whole_step;
  std::optional<DeviceTime> device_time;  ///< Of traces.
  std::vector<Unused> unused;
  std::vector<std::string> notes;  ///< See Provenance::notes.
  std::vector<SourceFile> sources;
};

/// What the user says of a file, where the file does not.
struct ImportOptions {
  std::string name;                        ///< Of the model; empty: after the file.
  int batch = 0;                           ///< 0: as the file says.
  int usual_batch = 0;                     ///< Where neither the file nor `batch` says it.
  std::optional<OptimizerKind> optimizer;  ///< None: as the file says.
  /// Where the file does not say it either, the usual one, with a note; what `usual_from` says.
  OptimizerKind usual_optimizer = OptimizerKind::kAdamW;
  std::string usual_from;  ///< Whose that is: a workload. Empty: nobody's.
  std::string layer_rule;  ///< Regular expression of the ranges that are layers; empty: usual ones.
  std::string step_rule;   ///< The same of minibatches.
  std::string process;     ///< Of a trace of several: whose id this is; empty: the only one.
  std::string gpu;         ///< Of a trace of several: this number, or `all`; empty: the only one.
  /// Of a trace, so much of each kind of record is in memory; the rest is in temporary files.
  std::size_t held_bytes = 2 << 20;
};

/// A model without layers, and a host of which nothing is known. `path` names it where the options
/// do not.
Imported blank_import(const std::string& path, const ImportOptions& options);

/// A layer of which nothing is known.
LayerCost blank_layer(std::string name);

/// Sets a time alone and loaded, and that it is known.
void know(LayerCost& layer, CostField field, const Measured& time);
/// Sets a size, and that it is known.
void know(LayerCost& layer, CostField field, Bytes bytes);

/// What follows from what is known, with a note each: state from parameters and optimizer,
/// recomputation from a forward that recorded its graph, a step of the whole model divided by
/// parameters, copies back from copies.
void derive(Imported& imported);

/// One profile of all of them. Throws Error when two have one name and batch, or devices differ.
Profile as_profile(const std::vector<Imported>& all, const std::string& version);

/// What a device is called of which the file says nothing.
inline constexpr const char* kNotRecorded = "not recorded";

/// Sets it to what the user says, with a note. Throws UsageError where the file says another.
void set_device(const std::string& device, Imported& to);
/// The same of the precision.
void set_precision(Precision precision, Imported& to);

/// Sets the optimizer of a trace, which names these classes of torch.optim, with a note. Throws
/// UsageError where it names another one than the user does or the workload has, none that is
/// known, or several.
void set_optimizer(const std::set<std::string>& classes, const ImportOptions& options,
                   Imported& to);

/// The batch that the user gave, else `in_file`, else the usual one; UsageError when none is known
/// or the user contradicts the file.
int batch_of(const ImportOptions& options, int in_file);

}  // namespace shardlab
