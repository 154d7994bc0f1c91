#include "core/profile.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "core/error.h"

namespace shardlab {
namespace {

/// Without the precision where it is the usual one.
std::string describe(const ModelSpec& model, int batch, OptimizerKind optimizer) {
  return fmt::format("{}, dropout {}, batch {}, {}", describe(model), model.dropout, batch,
                     to_string(optimizer));
}

/// What to do where the profile has the model, but for one thing.
const char* advice(const Profile& profile, const ModelSpec& model, OptimizerKind optimizer) {
  if (model.architecture == Architecture::kImported) {
    return "import it at that batch and with that optimizer, too";
  }
  bool batch = false, precision = false;
  for (const ModelProfile& entry : profile.models) {
    if (entry.optimizer != optimizer) continue;
    ModelSpec same = entry.model;
    batch = batch || same == model;
    same.precision = model.precision;
    precision = precision || same == model;
  }
  if (batch) {
    return "profile this workload again, or estimate that batch with shardlab fit or "
           "--accept-profile batch";
  }
  if (precision) {
    return "profile this workload again, or take another precision's with --accept-profile "
           "precision";
  }
  return "profile this workload again, or estimate them with shardlab fit";
}

std::string place(const Profile& profile) {
  return profile.path.empty() ? "" : profile.path + ": ";
}

void refuse_missing(const Profile& profile, const ModelProfile& entry) {
  const std::vector<std::string> missing = missing_costs(entry);
  if (missing.empty()) return;
  throw Error(place(profile) +
              fmt::format("{}, batch {}: not known: {}; import it again with --fill MODEL.toml or "
                          "with --set 'LAYER.FIELD=VALUE' (all layers: --set '*.FIELD=VALUE')",
                          describe(entry.model), entry.batch, fmt::join(missing, ", ")));
}

bool is_of(const ModelProfile& entry, const ModelSpec& model, OptimizerKind optimizer) {
  return entry.model == model && entry.optimizer == optimizer;
}

}  // namespace

const ModelProfile& find(const Profile& profile, const ModelSpec& model, int batch,
                         OptimizerKind optimizer) {
  std::string known;
  for (const ModelProfile& entry : profile.models) {
    if (entry.batch == batch && is_of(entry, model, optimizer)) {
      refuse_missing(profile, entry);
      return entry;
    }
    known += "\n  " + describe(entry.model, entry.batch, entry.optimizer);
  }
  throw Error(place(profile) + fmt::format("no costs for {}; {}. The profile has:{}",
                                           describe(model, batch, optimizer),
                                           advice(profile, model, optimizer),
                                           known.empty() ? " nothing" : known));
}

void refuse_unknown(const Profile& profile, const ModelSpec& model, int batch,
                    OptimizerKind optimizer) {
  bool known = false;
  for (const ModelProfile& entry : profile.models) {
    if (!is_of(entry, model, optimizer)) continue;
    known = true;
    if (entry.batch == batch) refuse_missing(profile, entry);
  }
  if (!known) find(profile, model, batch, optimizer);
}

std::vector<std::string> missing_costs(const ModelProfile& model) {
  std::vector<std::string> found;
  for (std::size_t f = 0; f < kCostFields.size(); ++f) {
    const auto lacks = [&](const LayerCost& layer) {
      return layer.missing.has(static_cast<CostField>(f));
    };
    const auto first = std::find_if(model.layers.begin(), model.layers.end(), lacks);
    if (first == model.layers.end()) continue;
    const auto more = std::count_if(first + 1, model.layers.end(), lacks);
    if (more + 1 == std::ssize(model.layers)) {
      found.push_back(fmt::format("{} of every layer", kCostFields[f]));
      continue;
    }
    found.push_back(fmt::format("{} of layer {} ({})", kCostFields[f], first - model.layers.begin(),
                                first->name));
    if (more > 0) found.back() += fmt::format(" and {} more", more);
  }
  if (model.model.architecture == Architecture::kImported && !model.input) {
    found.emplace_back(name(CostField::kInput));
  }
  return found;
}

void refuse_missing(const Profile& profile, CostField of_host) {
  for (const HostCosts* host : {&profile.alone, &profile.loaded}) {
    if (!host->missing.has(of_host)) continue;
    throw Error(place(profile) + fmt::format("not known: {} of the host; import it again with "
                                             "--set '{}=VALUE'",
                                             name(of_host), name(of_host)));
  }
}

}  // namespace shardlab
