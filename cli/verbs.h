#pragma once

#include <functional>

#include <CLI/CLI.hpp>
#include <nlohmann/json_fwd.hpp>

namespace shardlab {

/// What a verb does once its options are read; returns the exit code. Throws UsageError on options
/// that contradict each other (exit 2) and Error on everything else (exit 1).
using Action = std::function<int()>;

// Each declares a verb's options and its help on `app`. One file per verb.
Action declare_profile(CLI::App& app);
Action declare_links(CLI::App& app);
Action declare_import(CLI::App& app);
Action declare_fit(CLI::App& app);
Action declare_simulate(CLI::App& app);
Action declare_plan(CLI::App& app);
Action declare_sweep(CLI::App& app);
Action declare_study(CLI::App& app);
Action declare_rerun(CLI::App& app);
Action declare_run(CLI::App& app);
Action declare_compare(CLI::App& app);
Action declare_demo(CLI::App& app);
Action declare_validate(CLI::App& app);
Action declare_doctor(CLI::App& app);

// What `validate` can be asked for.
Action declare_validate_devices(CLI::App& app);
Action declare_validate_perseus(CLI::App& app);
Action declare_validate_ranking(CLI::App& app);
Action declare_validate_vtrain(CLI::App& app);

/// Computes what a verb prints with --json, and writes nothing.
using Computation = std::function<nlohmann::ordered_json()>;

// The verbs whose results `rerun` computes again: each declares the options of its verb.
Computation recompute_simulate(CLI::App& app);
Computation recompute_sweep(CLI::App& app);
Computation recompute_plan(CLI::App& app);
Computation recompute_study(CLI::App& app);

/// The whole command: 0 done, 1 failed, 2 wrong usage. Errors go to stderr as `shardlab: ...`.
int run_command(int argc, const char* const* argv);

}  // namespace shardlab
