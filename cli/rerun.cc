#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/output.h"
#include "cli/verbs.h"
#include "core/error.h"
#include "traces/result_file.h"

namespace shardlab {
namespace {

using nlohmann::ordered_json;

constexpr int kDiffers = 1;
constexpr std::size_t kMostShown = 10;

struct Options {
  std::string result, output;
  bool json = false;
};

struct Again {
  const char* verb;
  Computation (*declare)(CLI::App& app);
};

constexpr Again kVerbs[] = {
    {"simulate", recompute_simulate},
    {"sweep", recompute_sweep},
    {"plan", recompute_plan},
    {"study", recompute_study},
};

ordered_json compute(const Result& was) {
  for (const Again& each : kVerbs) {
    if (each.verb != was.verb) continue;
    CLI::App app;
    const Computation computation = each.declare(app);
    // From the last to the first: that is how CLI11 takes them.
    std::vector<std::string> arguments(was.arguments.rbegin(), was.arguments.rend());
    try {
      app.parse(std::move(arguments));
    } catch (const CLI::ParseError& error) {
      throw Error(
          fmt::format("{} does not take these arguments any more: {}", was.verb, error.what()));
    }
    const InputRecording inputs(was.inputs);
    return computation();
  }
  throw Error(fmt::format("\"{}\" is no verb that can be run again", was.verb));
}

/// The first places where two values differ, as JSON pointers.
class Differences {
 public:
  void find(const ordered_json& was, const ordered_json& is, const std::string& at) {
    if (was == is) return;
    if (was.is_object() && is.is_object()) return in_objects(was, is, at);
    if (was.is_array() && is.is_array() && was.size() == is.size()) {
      for (std::size_t i = 0; i < was.size(); ++i) find(was[i], is[i], fmt::format("{}/{}", at, i));
      return;
    }
    if (++count_ <= kMostShown) {
      text_ += fmt::format("  {}: was {}, is {}\n", at, shown(was), shown(is));
    }
  }

  [[nodiscard]] std::string text() const {
    const std::string more =
        count_ > kMostShown ? fmt::format("  and {} more\n", count_ - kMostShown) : "";
    return text_ + more;
  }

 private:
  void in_objects(const ordered_json& was, const ordered_json& is, const std::string& at) {
    static const ordered_json none;
    const auto member = [](const ordered_json& of, const std::string& key) -> const ordered_json& {
      return of.contains(key) ? of.at(key) : none;
    };
    for (const auto& [key, value] : was.items()) find(value, member(is, key), at + "/" + key);
    for (const auto& [key, value] : is.items()) {
      if (!was.contains(key)) find(none, value, at + "/" + key);
    }
  }

  static std::string shown(const ordered_json& value) {
    constexpr std::size_t kLongest = 60;
    const std::string text = value.dump();
    return text.size() <= kLongest ? text : text.substr(0, kLongest) + "…";
  }

  std::size_t count_ = 0;
  std::string text_;
};

int rerun(const Options& options) {
  const Result was = read_result(options.result);
  Result is = was;
  is.shardlab = SHARDLAB_VERSION;
  is.output = in_context(options.result, [&] { return compute(was); });
  if (!options.output.empty()) write_result(options.output, is);
  const bool same = output_hash(was) == output_hash(is);
  if (options.json) {
    print_json("rerun", {{"verb", was.verb},
                         {"seed", was.seed},
                         {"written_by", was.shardlab},
                         {"run_by", is.shardlab},
                         {"inputs_xxh3", inputs_hash(was)},
                         {"output_xxh3_was", output_hash(was)},
                         {"output_xxh3_is", output_hash(is)},
                         {"same", same}});
    return same ? 0 : kDiffers;
  }
  std::string text = fmt::format("{}, seed {}, inputs {}, written by shardlab {}\n", was.verb,
                                 was.seed, inputs_hash(was), was.shardlab);
  if (is.shardlab != was.shardlab) {
    text += fmt::format("run again by another version, shardlab {}\n", is.shardlab);
  }
  if (same) {
    print_text(text + fmt::format("the same output to the byte: {}\n", output_hash(is)));
    return 0;
  }
  Differences differences;
  differences.find(was.output, is.output, "");
  print_text(text +
             fmt::format("another output: was {}, is {}\n", output_hash(was), output_hash(is)) +
             differences.text());
  return kDiffers;
}

}  // namespace

Action declare_rerun(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  app.add_option("RESULT", options->result, "what --result of simulate, sweep, plan or study wrote")
      ->required();
  app.add_option("-o,--output", options->output, "write what was found as a result, too");
  add_json_flag(app, options->json);
  app.footer(
      "Computes the result again, from the inputs that it holds, and compares to the byte. Exits "
      "with 1 and says\nwhat differs where anything does.\n"
      "Example:\n  shardlab study --result study.json\n  shardlab rerun study.json");
  return [options] { return rerun(*options); };
}

}  // namespace shardlab
