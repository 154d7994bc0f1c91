#include "policies/strategy_choice.h"

#include <algorithm>
#include <charconv>
#include <iterator>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "core/error.h"

namespace shardlab {
namespace {

constexpr std::string_view kForms =
    "spill, resident, model_parallel, gpipe(stages,microbatches), "
    "one_f_one_b(stages,microbatches), interleaved(stages,microbatches,shards_per_device), "
    "zero_offload(devices), data_parallel(replicas,any of these)";

[[noreturn]] void refuse(std::string_view text) {
  throw Error(fmt::format("\"{}\" is no strategy; there are {}", text, kForms));
}

/// At commas outside parentheses.
std::vector<std::string_view> split(std::string_view list) {
  std::vector<std::string_view> parts;
  std::size_t begin = 0;
  int depth = 0;
  for (std::size_t i = 0; i < list.size(); ++i) {
    depth += list[i] == '(' ? 1 : list[i] == ')' ? -1 : 0;
    if (list[i] != ',' || depth > 0) continue;
    parts.push_back(list.substr(begin, i - begin));
    begin = i + 1;
  }
  parts.push_back(list.substr(begin));
  return parts;
}

/// "name(a,b(c))" as a name and its arguments.
struct Call {
  std::string_view name;
  std::vector<std::string_view> arguments;
};

Call call_of(std::string_view text) {
  const std::size_t open = text.find('(');
  if (open == std::string_view::npos) return {text, {}};
  if (text.back() != ')') refuse(text);
  return {text.substr(0, open), split(text.substr(open + 1, text.size() - open - 2))};
}

int number(std::string_view text, std::string_view whole, int least) {
  int value = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failed != std::errc{} || end != text.data() + text.size()) refuse(whole);
  if (value < least || value > kMostParts) {
    throw Error(
        fmt::format("\"{}\": {} is not between {} and {}", whole, value, least, kMostParts));
  }
  return value;
}

StrategyChoice parse(std::string_view text) {
  const Call call = call_of(text);
  const std::size_t count = call.arguments.size();
  const auto argument = [&](std::size_t i, int least) {
    return number(call.arguments[i], text, least);
  };
  if (call.name == "data_parallel") {
    if (count < 1 || count > 2) refuse(text);
    StrategyChoice inner =
        count == 2 ? parse(call.arguments[1]) : StrategyChoice{Strategy::kResident};
    // Replicas of what spills share its parameters in host memory.
    if (inner.strategy == Strategy::kSpill) inner.strategy = Strategy::kZeroOffload;
    const bool gathers = inner.strategy == Strategy::kZeroOffload;
    if (inner.replicas > 1 && !gathers) {
      throw Error(fmt::format("\"{}\": one data_parallel is enough", text));
    }
    inner.replicas *= argument(0, 1);
    if (inner.replicas > kMostParts) {
      throw Error(fmt::format("\"{}\": more than {} replicas", text, kMostParts));
    }
    return inner;
  }
  StrategyChoice choice;
  try {
    choice.strategy = parse_strategy(std::string(call.name));
  } catch (const Error&) {
    refuse(text);
  }
  if (choice.strategy == Strategy::kZeroOffload) {
    if (count != 1) refuse(text);
    choice.replicas = argument(0, 1);
  } else if (pipelined(choice.strategy)) {
    const bool interleaved = choice.strategy == Strategy::kInterleaved;
    if (count != (interleaved ? 3U : 2U)) refuse(text);
    choice.stages = argument(0, 0);
    choice.microbatches = argument(1, 1);
    if (interleaved) choice.chunks = argument(2, 1);
  } else if (count > 0) {
    refuse(text);
  }
  return choice;
}

}  // namespace

StrategyChoice parse_strategy_choice(const std::string& text) {
  const std::vector<StrategyChoice> choices = parse_strategy_choices(text);
  if (choices.size() != 1) refuse(text);
  return choices.front();
}

std::vector<StrategyChoice> parse_strategy_choices(const std::string& list) {
  std::string plain;
  std::copy_if(list.begin(), list.end(), std::back_inserter(plain),
               [](char c) { return c != ' '; });
  std::vector<StrategyChoice> choices;
  for (const std::string_view each : split(plain)) {
    if (each.empty()) refuse(list);
    choices.push_back(parse(each));
  }
  return choices;
}

std::string to_string(const StrategyChoice& choice) {
  std::string text = to_string(choice.strategy);
  if (choice.strategy == Strategy::kZeroOffload)
    return fmt::format("{}({})", text, choice.replicas);
  if (choice.strategy == Strategy::kInterleaved) {
    text += fmt::format("({},{},{})", choice.stages, choice.microbatches, choice.chunks);
  } else if (pipelined(choice.strategy)) {
    text += fmt::format("({},{})", choice.stages, choice.microbatches);
  }
  return choice.replicas > 1 ? fmt::format("data_parallel({},{})", choice.replicas, text) : text;
}

}  // namespace shardlab
