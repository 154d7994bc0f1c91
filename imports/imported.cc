#include "imports/imported.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "core/error.h"
#include "profiler/provenance.h"
#include "traces/layer_costs.h"

namespace shardlab {
namespace {

/// The file's name without what its format adds.
std::string stem(const std::string& path) {
  std::string name = std::filesystem::path(path).filename().string();
  for (const char* suffix :
       {".gz", ".json", ".prof", ".pt.trace", ".graph.txt", ".txt", ".csv", ".sqlite"}) {
    if (name.ends_with(suffix)) name.resize(name.size() - std::string_view(suffix).size());
  }
  for (char& c : name) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '_';
  }
  return name.empty() ? "model" : name;
}

std::int64_t lacking(const ModelProfile& model, CostField field) {
  return std::ranges::count_if(model.layers,
                               [&](const LayerCost& layer) { return layer.missing.has(field); });
}

void derive_state(Imported& imported) {
  const int factor = state_factor(imported.model.optimizer);
  std::int64_t derived = 0;
  for (LayerCost& layer : imported.model.layers) {
    if (!layer.missing.has(CostField::kState) || layer.missing.has(CostField::kParameters)) {
      continue;
    }
    know(layer, CostField::kState, layer.parameters * factor);
    ++derived;
  }
  if (derived == 0) return;
  imported.notes.push_back(fmt::format("state_bytes of {} layers: {} x parameter_bytes, for {}",
                                       derived, factor, to_string(imported.model.optimizer)));
}

void derive_recompute(Imported& imported) {
  std::int64_t derived = 0;
  for (LayerCost& layer : imported.model.layers) {
    if (!layer.missing.has(CostField::kRecompute) || layer.missing.has(CostField::kForward)) {
      continue;
    }
    know(layer, CostField::kRecompute, layer.alone.forward);
    ++derived;
  }
  if (derived == 0) return;
  imported.notes.push_back(fmt::format(
      "recompute_ns of {} layers: taken as forward_ns, which recorded a graph", derived));
}

Measured share(Measured time, double part) {
  for (Duration* each : {&time.median, &time.spread}) {
    *each = Duration{std::llround(static_cast<double>(each->count()) * part)};
  }
  time.busy.reset();
  return time;
}

void derive_step(Imported& imported) {
  auto& layers = imported.model.layers;
  const auto count = static_cast<std::int64_t>(layers.size());
  if (!imported.whole_step || lacking(imported.model, CostField::kStep) < count ||
      lacking(imported.model, CostField::kParameters) > 0) {
    return;
  }
  double all = 0;
  for (const LayerCost& layer : layers) all += static_cast<double>(layer.parameters);
  if (all == 0) return;
  for (LayerCost& layer : layers) {
    know(layer, CostField::kStep,
         share(*imported.whole_step, static_cast<double>(layer.parameters) / all));
  }
  imported.notes.push_back(
      fmt::format("step_ns of {} layers: the optimizer's {:.3f} ms, in proportion to "
                  "parameter_bytes",
                  count, seconds(imported.whole_step->median) * 1e3));
}

}  // namespace

Imported blank_import(const std::string& path, const ImportOptions& options) {
  Imported result;
  ModelSpec& spec = result.model.model;
  spec.architecture = Architecture::kImported;
  spec.imported = options.name.empty() ? stem(path) : options.name;
  result.model.batch = options.batch;
  result.model.optimizer = options.optimizer.value_or(options.usual_optimizer);
  for (const CostField field :
       {CostField::kCopy, CostField::kCopyBack, CostField::kUnitOverhead, CostField::kDispatch}) {
    result.host.missing.set(field);
  }
  return result;
}

LayerCost blank_layer(std::string name) {
  LayerCost layer;
  layer.name = std::move(name);
  for (const TimeField& time : kTimeFields) layer.missing.set(time.field);
  for (const BytesField& bytes : kBytesFields) layer.missing.set(bytes.field);
  return layer;
}

void know(LayerCost& layer, CostField field, const Measured& time) {
  const auto found = std::ranges::find(kTimeFields, field, &TimeField::field);
  layer.alone.*(found->time) = layer.loaded.*(found->time) = time;
  layer.missing.set(field, false);
}

void know(LayerCost& layer, CostField field, Bytes bytes) {
  layer.*(std::ranges::find(kBytesFields, field, &BytesField::field)->bytes) = bytes;
  layer.missing.set(field, false);
}

void derive(Imported& imported) {
  derive_state(imported);
  derive_recompute(imported);
  derive_step(imported);
  HostCosts& host = imported.host;
  if (!host.missing.has(CostField::kCopyBack) || host.missing.has(CostField::kCopy)) return;
  host.copy_back = host.copy;
  host.missing.set(CostField::kCopyBack, false);
  imported.notes.emplace_back("copy_back: taken as copy");
}

Profile as_profile(const std::vector<Imported>& all, const std::string& version) {
  Profile profile;
  profile.provenance.shardlab = version;
  profile.provenance.date = utc_now();
  profile.provenance.method = all.front().method;
  profile.provenance.device = all.front().device;
  profile.alone = profile.loaded = all.front().host;
  if (all.size() > 1 && all.front().device == kNotRecorded) {
    throw UsageError(
        "no file says on which device it was measured: give --device where it was the same, else "
        "import them into a profile each");
  }
  for (const Imported& each : all) {
    if (each.device != all.front().device) {
      throw Error(
          fmt::format("the files are of different devices, \"{}\" and \"{}\": import them "
                      "into a profile each",
                      all.front().device, each.device));
    }
    const std::string label = describe(each.model.model);
    for (const ModelProfile& other : profile.models) {
      if (other.model == each.model.model && other.batch == each.model.batch) {
        throw Error(fmt::format("two files give {}, batch {}: import them into a profile each",
                                label, other.batch));
      }
    }
    profile.models.push_back(each.model);
    for (const SourceFile& source : each.sources) {
      auto& sources = profile.provenance.sources;
      if (std::ranges::find(sources, source) == sources.end()) sources.push_back(source);
    }
    for (const std::string& note : each.notes) {
      profile.provenance.notes.push_back(label + ": " + note);
    }
    for (const Unused& unused : each.unused) {
      profile.provenance.notes.push_back(
          fmt::format("{}: could not use {} {}: {}", label, unused.count, unused.what, unused.why));
    }
  }
  return profile;
}

void set_device(const std::string& device, Imported& to) {
  if (to.device != kNotRecorded && to.device != device) {
    throw UsageError(
        fmt::format("--device {}: the file says \"{}\"; leave --device out", device, to.device));
  }
  to.device = device;
  to.notes.push_back(fmt::format("device: set by user ({})", device));
}

void set_precision(Precision precision, Imported& to) {
  auto& known = to.model.imported_precision;
  if (known && *known != precision) {
    throw UsageError(fmt::format("--precision {}: the file says {}; leave --precision out",
                                 to_string(precision), to_string(*known)));
  }
  known = precision;
  to.notes.push_back(fmt::format("precision: set by user ({})", to_string(precision)));
}

namespace {

/// As models/ know it; fused ones are of Apex and DeepSpeed. Adam's state is that of AdamW, and so
/// is what its step does but for the decay.
std::optional<OptimizerKind> optimizer_of(const std::string& of_torch) {
  if (of_torch == "SGD" || of_torch == "FusedSGD") return OptimizerKind::kSgd;
  for (const char* adam : {"AdamW", "Adam", "FusedAdam"}) {
    if (of_torch == adam) return OptimizerKind::kAdamW;
  }
  return std::nullopt;
}

}  // namespace

void set_optimizer(const std::set<std::string>& classes, const ImportOptions& options,
                   Imported& to) {
  OptimizerKind& optimizer = to.model.optimizer;
  const std::string named = fmt::format("{}", fmt::join(classes, ", "));
  const auto given = options.optimizer;
  if (classes.empty()) {
    if (given) return;
    to.notes.push_back(fmt::format("optimizer: not named in the trace, taken as {}{}",
                                   to_string(optimizer),
                                   options.usual_from.empty() ? "" : " of " + options.usual_from));
    return;
  }
  if (classes.size() > 1 && !given) {
    throw UsageError(fmt::format(
        "its optimizers are {}: say with --optimizer as which one they are taken", named));
  }
  const auto known = optimizer_of(*classes.begin());
  if (!known && !given) {
    throw UsageError(fmt::format(
        "its optimizer is {}, which is neither AdamW, Adam nor SGD: say with --optimizer as which "
        "one it is taken",
        named));
  }
  if (classes.size() == 1 && known && given && *given != *known) {
    throw UsageError(fmt::format("--optimizer {}: the trace says {}; leave --optimizer out",
                                 to_string(*given), named));
  }
  if (!given && !options.usual_from.empty() && *known != options.usual_optimizer) {
    throw UsageError(fmt::format("{}: trains with {}, the trace with {}; write optimizer = \"{}\"",
                                 options.usual_from, to_string(options.usual_optimizer), named,
                                 to_string(*known)));
  }
  optimizer = given ? *given : *known;
  to.notes.push_back(fmt::format("optimizer: {} in the trace, taken as {}{}", named,
                                 to_string(optimizer), given ? ", as the user says" : ""));
}

int batch_of(const ImportOptions& options, int in_file) {
  if (options.batch > 0 && in_file > 0 && options.batch != in_file) {
    throw UsageError(
        fmt::format("--batch {}: the file says {}; leave --batch out", options.batch, in_file));
  }
  if (options.batch > 0) return options.batch;
  if (in_file > 0) return in_file;
  if (options.usual_batch > 0) return options.usual_batch;
  throw UsageError("the file does not say its batch; give it with --batch");
}

}  // namespace shardlab
