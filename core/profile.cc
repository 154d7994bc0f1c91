#include "core/profile.h"

#include <fmt/format.h>

#include "core/error.h"

namespace shardlab {

const ModelProfile& find(const Profile& profile, const ModelSpec& model, int batch,
                         OptimizerKind optimizer) {
  std::string known;
  for (const ModelProfile& entry : profile.models) {
    if (entry.model == model && entry.batch == batch && entry.optimizer == optimizer) return entry;
    known += fmt::format("\n  {}, dropout {}, batch {}, {}", describe(entry.model),
                         entry.model.dropout, entry.batch, to_string(entry.optimizer));
  }
  throw Error((profile.path.empty() ? "" : profile.path + ": ") +
              fmt::format("no costs for {}, dropout {}, batch {}, {}; profile this workload again, or "
                          "estimate them with shardlab fit. The profile has:{}",
                          describe(model), model.dropout, batch, to_string(optimizer),
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
