#pragma once

#include <cstdint>
#include <optional>

#include <CLI/CLI.hpp>

#include "cli/plan_options.h"

namespace shardlab {

/// Of `--policy search`; see planning/search.h.
void add_search_options(CLI::App& app, PlanOptions& options);

/// Throws Error that begins with `what` where a device of the cluster leaves during the run.
void refuse_order_of_leaving(const Cluster& cluster, const std::string& what);

/// The choice's plan with the best order that is found, and what that gained as its note. Shows its
/// progress on a terminal; Ctrl-C ends it with what it has.
void search_order(const Inputs& inputs, const PlanOptions& options, PlannedChoice& choice);

}  // namespace shardlab
