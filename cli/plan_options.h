#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>

#include "cli/inputs.h"
#include "core/error.h"
#include "policies/planner.h"

namespace shardlab {

/// Which plan is meant: by its properties, or a file.
struct PlanOptions {
  std::string strategy, policy, plan, partition;
  std::string step;  ///< Where optimizers step; of all plans, if several are meant.
  std::optional<int> slots, admit;
  bool keep = false;
  std::optional<std::uint64_t> seed;
  std::optional<double> search_s;  ///< Of policy search.
  std::optional<std::int64_t> search_evaluations;

  /// Takes what is not given from those of an earlier run; nothing of its properties for a plan
  /// file. Throws UsageError where properties are given and that run had a file.
  void fill_in(const PlanOptions& from);
  /// One plan is meant, not all the usual ones.
  [[nodiscard]] bool one() const {
    return !strategy.empty() || !policy.empty() || admit || keep || !plan.empty() ||
           !partition.empty();
  }
};

/// `search`: also `--policy search`; see cli/order_search.h.
void add_plan_options(CLI::App& app, PlanOptions& options, bool search = false);

/// Of an option that takes a policy; `search`: or the one that is searched for.
CLI::Validator policies(bool search = false);

/// Of an option that takes strategies, separated by commas.
CLI::Validator strategies();

/// What the plan file of `options`, if there is one, has to do with an Error that leaves `body`.
template <typename Body>
auto in_plan(const PlanOptions& options, Body&& body) -> decltype(body()) {
  if (options.plan.empty()) return std::forward<Body>(body)();
  return in_context(options.plan, std::forward<Body>(body));
}

/// The plan read from a file, or made of the properties; the usual ones where none are given.
/// Throws UsageError when a file and properties are both given.
std::vector<PlannedChoice> planned(const Inputs& inputs, const PlanOptions& options);

}  // namespace shardlab
