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

/// A field that is missing of a model: in words, and as `--set` names it.
struct MissingField {
  CostField field{};
  std::string text, target;
};

std::vector<MissingField> missing_fields(const ModelProfile& model) {
  std::vector<MissingField> found;
  for (std::size_t f = 0; f < kCostFields.size(); ++f) {
    const auto field = static_cast<CostField>(f);
    const auto lacks = [&](const LayerCost& layer) { return layer.missing.has(field); };
    const auto first = std::ranges::find_if(model.layers, lacks);
    if (first == model.layers.end()) continue;
    const auto more = std::count_if(first + 1, model.layers.end(), lacks);
    if (more + 1 == std::ssize(model.layers)) {
      found.push_back(
          {field, fmt::format("{} of every layer", name(field)), fmt::format("*.{}", name(field))});
      continue;
    }
    found.push_back(
        {field,
         fmt::format("{} of layer {} ({})", name(field), first - model.layers.begin(), first->name),
         fmt::format("{}.{}", more > 0 ? "LAYER" : first->name, name(field))});
    if (more > 0) found.back().text += fmt::format(" and {} more", more);
  }
  if (model.model.architecture == Architecture::kImported && !model.input) {
    const std::string input(name(CostField::kInput));
    found.push_back({CostField::kInput, input, input});
  }
  return found;
}

std::string texts(const std::vector<MissingField>& fields) {
  std::string all;
  for (const MissingField& each : fields) all += (all.empty() ? "" : ", ") + each.text;
  return all;
}

/// The options of `import` that supply them.
std::string supply(const std::vector<MissingField>& fields) {
  const auto sized = [](const MissingField& each) {
    return each.field < CostField::kForward || each.field == CostField::kInput;
  };
  std::string text = "import it again with";
  if (std::ranges::any_of(fields, sized)) text += " --fill MODEL.toml for sizes, or with";
  std::vector<std::string> said;
  for (const MissingField& each : fields) {
    const char* const value = is_copy(each.field)   ? "LATENCY + RATE"
                              : is_time(each.field) ? "TIME"
                                                    : "SIZE";
    std::string setting = fmt::format(" --set '{}={}'", each.target, value);
    if (std::ranges::find(said, setting) != said.end()) continue;
    text += setting;
    said.push_back(std::move(setting));
  }
  return text;
}

void refuse_missing(const Profile& profile, const ModelProfile& entry) {
  const ModelProfile* const one[] = {&entry};
  refuse_missing(profile, one, {});
}

bool is_of(const ModelProfile& entry, const ModelSpec& model, OptimizerKind optimizer) {
  return entry.model == model && entry.optimizer == optimizer;
}

}  // namespace

const ModelProfile& find(const Profile& profile, const ModelSpec& model, int batch,
                         OptimizerKind optimizer) {
  if (const ModelProfile* entry = find_entry(profile, model, batch, optimizer)) {
    refuse_missing(profile, *entry);
    return *entry;
  }
  std::string known;
  for (const ModelProfile& entry : profile.models) {
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
  for (MissingField& each : missing_fields(model)) found.push_back(std::move(each.text));
  return found;
}

const ModelProfile* find_entry(const Profile& profile, const ModelSpec& model, int batch,
                               OptimizerKind optimizer) {
  const auto found = std::ranges::find_if(profile.models, [&](const ModelProfile& entry) {
    return entry.batch == batch && is_of(entry, model, optimizer);
  });
  return found == profile.models.end() ? nullptr : &*found;
}

void refuse_missing(const Profile& profile, std::span<const ModelProfile* const> entries,
                    std::span<const CostField> of_host) {
  std::vector<MissingField> all;
  std::string text;
  for (const ModelProfile* entry : entries) {
    const std::vector<MissingField> fields = missing_fields(*entry);
    if (fields.empty()) continue;
    text += fmt::format("{}{}, batch {}: not known: {}", text.empty() ? "" : "; ",
                        describe(entry->model), entry->batch, texts(fields));
    all.insert(all.end(), fields.begin(), fields.end());
  }
  std::vector<MissingField> of_it;
  for (const CostField field : of_host) {
    if (!profile.alone.missing.has(field) && !profile.loaded.missing.has(field)) continue;
    of_it.push_back({field, std::string(name(field)), std::string(name(field))});
  }
  if (!of_it.empty()) {
    text += fmt::format("{}not known of the host: {}", text.empty() ? "" : "; ", texts(of_it));
    all.insert(all.end(), of_it.begin(), of_it.end());
  }
  if (!all.empty()) throw Error(place(profile) + text + "; " + supply(all));
}

std::optional<bool> of_accelerator(const Provenance& provenance) {
  const auto begins = [&](const char* with) { return provenance.method.starts_with(with); };
  if (begins("steady clock") || begins("clock")) return false;
  const bool records = begins("Kineto") || begins("Nsight") || begins("Perseus");
  if (begins("events") || records || provenance.activity) return true;
  return std::nullopt;
}

}  // namespace shardlab
