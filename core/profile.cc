#include "core/profile.h"

#include <fmt/format.h>

#include "core/error.h"

namespace shardlab {
namespace {

/// Without the precision where it is the usual one.
std::string describe(const ModelSpec& model, int batch, OptimizerKind optimizer) {
  const bool usual = model.precision == Precision::kFp32;
  return fmt::format("{}, dropout {}, batch {}, {}{}", describe(model), model.dropout, batch,
                     to_string(optimizer), usual ? "" : ", " + to_string(model.precision));
}

/// What to do where the profile has the model, but for one thing.
const char* advice(const Profile& profile, const ModelSpec& model, OptimizerKind optimizer) {
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

}  // namespace

const ModelProfile& find(const Profile& profile, const ModelSpec& model, int batch,
                         OptimizerKind optimizer) {
  std::string known;
  for (const ModelProfile& entry : profile.models) {
    if (entry.model == model && entry.batch == batch && entry.optimizer == optimizer) return entry;
    known += "\n  " + describe(entry.model, entry.batch, entry.optimizer);
  }
  throw Error((profile.path.empty() ? "" : profile.path + ": ") +
              fmt::format("no costs for {}; {}. The profile has:{}",
                          describe(model, batch, optimizer), advice(profile, model, optimizer),
                          known.empty() ? " nothing" : known));
}

void refuse_unknown(const Profile& profile, const ModelSpec& model, int batch,
                    OptimizerKind optimizer) {
  for (const ModelProfile& entry : profile.models) {
    if (entry.model == model && entry.optimizer == optimizer) return;
  }
  find(profile, model, batch, optimizer);
}

}  // namespace shardlab
