#include "sched/shared_base.h"

#include <map>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "core/error.h"

namespace shardlab {
namespace {

/// Who came first with a base, and the numbers of its items.
struct Base {
  std::size_t job = 0;
  std::int32_t first_item = 0;
};

/// Neither dropout nor the precision of products changes parameters.
bool same_parameters(ModelSpec a, const ModelSpec& b) {
  a.dropout = b.dropout;
  a.precision = b.precision;
  return a == b;
}

std::string frozen_text(const Job& job) {
  return job.lora_rank > 0 ? "all layers" : fmt::format("{} layers", job.frozen_layers);
}

void refuse_other(const Workload& workload, const Plan& plan, std::size_t j, std::size_t first) {
  const Job& job = workload.jobs[j];
  const Job& owner = workload.jobs[first];
  const auto refuse = [&](const std::string& mine, const std::string& others) {
    throw Error(fmt::format("{}: base: it has {}, {} has {}; give it a base of another name",
                            job.name, mine, owner.name, others));
  };
  if (!same_parameters(job.model, owner.model)) {
    refuse("the model " + describe(job.model), describe(owner.model));
  }
  if (frozen_text(job) != frozen_text(owner)) {
    refuse(frozen_text(job) + " frozen", frozen_text(owner));
  }
  const auto& cut = plan.jobs[j].first_layer;
  const auto& other = plan.jobs[first].first_layer;
  if (cut == other) return;
  throw Error(
      fmt::format("{}: base: its shards begin at layers {}, those of {} at {}; jobs of one base "
                  "must be cut alike: give them one batch, optimizer and lora_rank, or a plan file",
                  job.name, fmt::join(cut, ", "), owner.name, fmt::join(other, ", ")));
}

}  // namespace

void share_bases(const Workload& workload, const Plan& plan, Program& program) {
  std::map<std::string, Base> bases;
  std::vector<Bytes> bytes;
  for (std::size_t j = 0; j < program.jobs.size(); ++j) {
    const Job& job = workload.jobs[j];
    if (job.base.empty()) continue;
    if (!job.frozen()) {
      throw Error(job.name + ": base: nothing of it is frozen; give frozen_layers or lora_rank");
    }
    const auto [found, fresh] = bases.try_emplace(job.base, Base{j, program.shared_items});
    if (fresh) {
      program.shared_items += plan.jobs[j].shards();
      bytes.resize(static_cast<std::size_t>(program.shared_items));
    } else {
      refuse_other(workload, plan, j, found->second.job);
    }
    for (Item& item : program.jobs[j].items) {
      if (item.kind != ItemKind::kFrozen || item.bytes == 0) continue;
      item.shared = found->second.first_item + item.shard;
      Bytes& known = bytes[static_cast<std::size_t>(item.shared)];
      if (known != 0 && known != item.bytes) {
        throw Error(fmt::format(
            "{}: base: shard {} has {} bytes frozen, that of {} has {}, by this profile; profile "
            "both again",
            job.name, item.shard, item.bytes, workload.jobs[found->second.job].name, known));
      }
      known = item.bytes;
    }
  }
}

}  // namespace shardlab
