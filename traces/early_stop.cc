#include "traces/early_stop.h"

#include <algorithm>
#include <array>
#include <string_view>

#include <fmt/format.h>

#include "core/error.h"
#include "traces/job_keys.h"

namespace shardlab {
namespace {

constexpr std::int64_t kMostMinibatches = 1'000'000'000'000;

/// Calls `set` with the key's value, if it is there.
template <typename Set>
void with(const toml::table& table, std::string_view key, const std::string& origin, Set set) {
  const toml::node* node = table.get(key);
  if (node == nullptr) return;
  in_context(place(origin, node->source(), key), [&] { set(*node); });
}

/// A refused combination blames the key to take out.
void refuse(const toml::table& table, std::string_view key, const std::string& origin,
            std::string_view why) {
  with(table, key, origin, [&](const toml::node&) { throw Error(std::string(why)); });
}

const Job& shortest(const Workload& workload) {
  return *std::min_element(
      workload.jobs.begin(), workload.jobs.end(),
      [](const Job& a, const Job& b) { return a.minibatches < b.minibatches; });
}

void read_rungs(const toml::table& table, const std::string& origin, const Workload& workload,
                EarlyStop& how) {
  with(table, "eta", origin, [&](const toml::node& v) { how.eta = integer(v, 2, 1000); });
  with(table, "min", origin,
       [&](const toml::node& v) { how.least = integer(v, 1, kMostMinibatches); });
  const Job& job = shortest(workload);
  how.most = job.minibatches;
  with(table, "max", origin, [&](const toml::node& v) {
    how.most = integer(v, 1, kMostMinibatches);
    if (how.most <= job.minibatches) return;
    throw Error(
        fmt::format("is {}, but {} has only {} minibatches; every job must be able to go "
                    "so far",
                    how.most, job.name, job.minibatches));
  });
  if (how.method == StopMethod::kHyperband) {
    refuse(table, "min", origin, "hyperband has none: its brackets begin at 1, eta, eta^2, ...");
  } else if (how.least >= how.most) {
    throw Error(fmt::format("{}: is {}, which must be below max, which is {}",
                            place(origin, table.source(), "min"), how.least, how.most));
  }
}

}  // namespace

EarlyStop read_early_stop(const toml::node& node, const std::string& origin,
                          const Workload& workload) {
  const toml::table* table = node.as_table();
  if (table == nullptr) {
    throw Error(place(origin, node.source(), "early_stop") + ": must be a table: [early_stop]");
  }
  constexpr std::array<std::string_view, 6> kKeys{"method", "eta", "min", "max", "curves", "seed"};
  refuse_unknown_keys(*table, origin, kKeys);
  if (!table->contains("method")) {
    throw Error(place(origin, table->source(), "method") + ": missing in [early_stop]");
  }
  for (const Job& job : workload.jobs) {
    if (job.stop_after == 0) continue;
    throw Error(fmt::format("{}: {} has a stop_after too; take one out",
                            place(origin, table->source(), "early_stop"), job.name));
  }
  EarlyStop how;
  with(*table, "method", origin,
       [&](const toml::node& v) { how.method = parse_stop_method(text(v)); });
  read_rungs(*table, origin, workload, how);
  with(*table, "curves", origin,
       [&](const toml::node& v) { how.curves_file = beside(origin, text(v)); });
  if (!how.curves_file.empty()) {
    refuse(*table, "seed", origin, "losses come from the curves; take one out");
  }
  with(*table, "seed", origin, [&](const toml::node& v) {
    how.seed = static_cast<std::uint64_t>(integer(v, 0, INT64_MAX));
  });
  return how;
}

}  // namespace shardlab
