#include <memory>
#include <string>
#include <thread>
#include <unistd.h>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/engine.h"
#include "cli/output.h"
#include "cli/verbs.h"
#include "core/bytes.h"
#include "core/error.h"
#include "profiler/accelerators.h"
#include "profiler/provenance.h"

namespace shardlab {
namespace {

struct Options {
  bool no_torch = false;
  bool json = false;
};

struct Findings {
  std::string processor = describe_processor();
  unsigned cores = std::thread::hardware_concurrency();
  Bytes memory = Bytes{sysconf(_SC_PHYS_PAGES)} * sysconf(_SC_PAGESIZE);
  std::string libtorch, libtorch_problem;
  Accelerators accelerators;
};

Findings find(const Options& options) {
  Findings found;
  if (options.no_torch) {
    found.libtorch_problem = "not asked";
  } else {
    try {
      found.libtorch = load_engine()->libtorch();
    } catch (const Error& error) {
      found.libtorch_problem = error.what();
    }
  }
  // After LibTorch, which may have brought its own CUPTI.
  found.accelerators = find_accelerators();
  return found;
}

std::string text(const Findings& found) {
  const auto line = [](const char* what, const std::string& value, const std::string& problem) {
    return fmt::format("{:<11}{}\n", what, value.empty() ? "none: " + problem : value);
  };
  std::string devices;
  for (const std::string& name : found.accelerators.devices) {
    devices += (devices.empty() ? "" : ", ") + name;
  }
  return line("shardlab", SHARDLAB_VERSION, "") + line("processor", found.processor, "") +
         line("memory", format_bytes(found.memory), "") +
         line("LibTorch", found.libtorch, found.libtorch_problem) +
         line("driver", found.accelerators.driver, found.accelerators.problem) +
         line("GPUs", devices,
              found.accelerators.driver.empty() ? "no driver" : "the driver shows none") +
         line("CUPTI", found.accelerators.cupti, found.accelerators.cupti_problem);
}

nlohmann::ordered_json json(const Findings& found) {
  return {{"shardlab", SHARDLAB_VERSION},
          {"processor", found.processor},
          {"cores", found.cores},
          {"memory_bytes", found.memory},
          {"libtorch", found.libtorch},
          {"libtorch_problem", found.libtorch_problem},
          {"driver", found.accelerators.driver},
          {"driver_problem", found.accelerators.problem},
          {"gpus", found.accelerators.devices},
          {"cupti", found.accelerators.cupti},
          {"cupti_problem", found.accelerators.cupti_problem}};
}

int examine(const Options& options) {
  const Findings found = find(options);
  if (options.json) {
    print_json("doctor", json(found));
  } else {
    print_text(text(found));
  }
  return 0;
}

}  // namespace

Action declare_doctor(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  app.add_flag("--no-torch", options->no_torch, "do not load LibTorch");
  add_json_flag(app, options->json);
  app.footer("Example:\n  shardlab doctor --json");
  return [options] { return examine(*options); };
}

}  // namespace shardlab
