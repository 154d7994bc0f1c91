#include <utility>
#include <vector>

#include "cli/verbs.h"

namespace shardlab {
namespace {

/// One data set, or kind of data set, that predictions are held against.
struct DataSet {
  const char* name;
  const char* what;
  Action (*declare)(CLI::App& app);
};

constexpr DataSet kDataSets[] = {
    {"perseus", "iteration times of pipelines, replayed from their profiles",
     declare_validate_perseus},
    {"devices", "passes of models on one GPU, from another and both data sheets",
     declare_validate_devices},
    {"ranking", "runs of workloads under several policies: is the order the predicted one?",
     declare_validate_ranking},
    {"vtrain", "minibatch times of GPTs by data and pipeline parallelism", declare_validate_vtrain},
};

}  // namespace

Action declare_validate(CLI::App& app) {
  app.require_subcommand(1);
  std::vector<std::pair<CLI::App*, Action>> actions;
  for (const DataSet& each : kDataSets) {
    CLI::App* sub = app.add_subcommand(each.name, each.what);
    actions.emplace_back(sub, each.declare(*sub));
  }
  app.footer("Example:\n  shardlab validate perseus folder-of-profiles/");
  return [actions] {
    for (const auto& [sub, action] : actions) {
      if (sub->parsed()) return action();
    }
    return 2;  // CLI11 asked for one.
  };
}

}  // namespace shardlab
