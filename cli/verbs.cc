#include "cli/verbs.h"

#include <cstdio>
#include <exception>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "core/error.h"

namespace shardlab {
namespace {

constexpr int kFailed = 1;
constexpr int kWrongUsage = 2;

struct Verb {
  const char* name;
  const char* what;
  Action (*declare)(CLI::App& app);
};

constexpr Verb kVerbs[] = {
    {"profile", "measure what every layer of a workload costs on this machine", declare_profile},
    {"links", "measure copies between host memory and the devices", declare_links},
    {"import", "make a profile of what others measured: traces, graphs, tables", declare_import},
    {"fit", "estimate costs of batches, widths and devices that were not measured", declare_fit},
    {"simulate", "predict how long plans take, and rank them", declare_simulate},
    {"sweep", "predict over lists of policies, strategies, slots and devices", declare_sweep},
    {"plan", "choose strategy, degree and devices of every job together", declare_plan},
    {"study", "compare policies over settings that are drawn from a seed", declare_study},
    {"rerun", "compute a result again and compare it to the byte", declare_rerun},
    {"run", "train the workload by a plan, for real", declare_run},
    {"compare", "lay a run over its prediction and attribute the error", declare_compare},
    {"demo", "all of that on several language models and two small devices", declare_demo},
    {"validate", "hold predictions against published measurements", declare_validate},
    {"doctor", "show what this machine and this build have", declare_doctor},
};

void complain(const std::string& what) { fmt::print(stderr, "shardlab: {}\n", what); }

int act(const Action& action) {
  try {
    return action();
  } catch (const UsageError& error) {
    complain(error.what());
    return kWrongUsage;
  } catch (const std::exception& error) {
    complain(error.what());
    return kFailed;
  }
}

}  // namespace

int run_command(int argc, const char* const* argv) {
  CLI::App app(
      "In which order should the shards of many models run, on which devices, and how long will it "
      "take?",
      "shardlab");
  app.set_version_flag("--version", "shardlab " SHARDLAB_VERSION);
  app.require_subcommand(1);
  app.footer("Example:\n  shardlab demo\nHelp for one verb: shardlab simulate --help");
  std::vector<std::pair<CLI::App*, Action>> actions;
  for (const Verb& verb : kVerbs) {
    CLI::App* sub = app.add_subcommand(verb.name, verb.what);
    actions.emplace_back(sub, verb.declare(*sub));
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& help) {
    return app.exit(help);
  } catch (const CLI::ParseError& error) {
    complain(fmt::format("{}\nTry shardlab --help, or --help after a verb.", error.what()));
    return kWrongUsage;
  }
  for (const auto& [sub, action] : actions) {
    if (sub->parsed()) return act(action);
  }
  return kWrongUsage;
}

}  // namespace shardlab
