#include "cli/checkpoints.h"

#include <array>
#include <cerrno>
#include <cmath>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <map>
#include <sys/file.h>
#include <unistd.h>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/checks.h"
#include "cli/output.h"
#include "core/error.h"
#include "exec/parts.h"
#include "models/text_data.h"
#include "policies/external.h"
#include "policies/tuners.h"
#include "traces/atomic_file.h"
#include "traces/decision_file.h"
#include "traces/json_object.h"

namespace shardlab {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using nlohmann::ordered_json;

constexpr std::string_view kFormat = "shardlab-command";
constexpr int kVersion = 1;

/// A path or NAME=PATH that holds from any folder.
std::string absolute(const std::string& given) {
  const std::size_t equals = given.find('=');
  const bool named = equals != std::string::npos && given.find('/') > equals;
  const std::size_t from = named ? equals + 1 : 0;
  if (from == given.size()) return given;
  return given.substr(0, from) + fs::absolute(given.substr(from)).lexically_normal().string();
}

ordered_json request_json(const RunRequest& request) {
  ordered_json profiles = ordered_json::array();
  for (const std::string& profile : request.paths.profiles) profiles.push_back(absolute(profile));
  const PlanOptions& plan = request.plan;
  ordered_json root{
      {"format", kFormat},
      {"version", kVersion},
      {"workload", absolute(request.paths.workload)},
      {"cluster", absolute(request.paths.cluster)},
      {"profiles", std::move(profiles)},
      {"accept_profile", request.paths.accept},
      {"strategy", plan.strategy},
      {"policy", is_external(plan.policy) ? absolute(external_path(plan.policy)) : plan.policy},
      {"plan", absolute(plan.plan)},
      {"partition", plan.partition},
      {"keep_activations", plan.keep},
      {"checkpoint_every", request.checkpoint_every}};
  if (!plan.step.empty()) root["step"] = plan.step;
  if (plan.slots) root["slots"] = *plan.slots;
  if (plan.admit) root["admit"] = *plan.admit;
  if (plan.seed) root["seed"] = *plan.seed;
  return root;
}

RunRequest parse_request(const json& file) {
  const JsonObject root(file);
  RunRequest request;
  request.paths.workload = root.text("workload");
  request.paths.cluster = root.text("cluster");
  const auto texts = [&](const char* key, std::vector<std::string>& into) {
    for (const json& each : root.array(key)) {
      if (!each.is_string()) throw Error(std::string(key) + ": must be texts");
      into.push_back(each.get<std::string>());
    }
  };
  texts("profiles", request.paths.profiles);
  texts("accept_profile", request.paths.accept);
  request.plan.strategy = root.text("strategy");
  request.plan.policy = root.text("policy");
  request.plan.plan = root.text("plan");
  request.plan.partition = root.text("partition");
  request.plan.keep = root.flag("keep_activations");
  if (root.has("step")) request.plan.step = root.text("step");
  request.checkpoint_every = root.text("checkpoint_every");
  if (root.has("slots")) request.plan.slots = static_cast<int>(root.integer("slots", 1, 16));
  if (root.has("admit")) request.plan.admit = static_cast<int>(root.integer("admit", 0, INT32_MAX));
  if (root.has("seed")) request.plan.seed = root.seed("seed");
  return request;
}

/// What `read` takes from command.json.
template <typename Read>
auto read_command(const std::string& path, const Read& read) {
  const std::string text = read_whole_file(path);
  return in_context(path, [&] { return read(parse_json_file(text, kFormat, kVersion)); });
}

}  // namespace

CheckpointRule parse_checkpoint_rule(const std::string& text) {
  if (text == "never") return {};
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  const std::string unit(end);
  constexpr std::array<std::pair<std::string_view, double>, 4> kUnits{
      {{"s", 1}, {"min", 60}, {"h", 3600}, {"", 0}}};
  constexpr double kMost = 1e9;
  for (const auto& [name, length] : kUnits) {
    if (end == text.c_str() || unit != name || !(value > 0) || value > kMost) continue;
    if (length > 0) return {0, Duration(std::llround(value * length * 1e9))};
    if (value == std::floor(value)) return {static_cast<std::int64_t>(value), {}};
  }
  throw Error(
      fmt::format("must be minibatches (50), a time (30s, 10min, 2h) or never, is \"{}\"", text));
}

void add_checkpoint_option(CLI::App& app, std::string& every, const std::string& usual) {
  app.add_option("--checkpoint-every", every,
                 "keep each job's state at the border of a minibatch: every N minibatches, or a "
                 "time (30s, 10min, 2h), or never (" +
                     usual + ")")
      ->check(parsed_by(parse_checkpoint_rule, "cadence"));
}

void RunRequest::fill_in(const RunRequest& from) {
  if (paths.workload.empty()) paths.workload = from.paths.workload;
  if (paths.cluster.empty()) paths.cluster = from.paths.cluster;
  if (paths.profiles.empty()) paths.profiles = from.paths.profiles;
  if (paths.accept.empty()) paths.accept = from.paths.accept;
  plan.fill_in(from.plan);
  if (checkpoint_every.empty()) checkpoint_every = from.checkpoint_every;
}

RunFolder::RunFolder(std::string path)
    : path_(std::move(path)), checkpoints_(path_ + "/checkpoints") {}

RunFolder::~RunFolder() {
  if (lock_ >= 0) ::close(lock_);
}

RunRequest RunFolder::request() const {
  if (!fs::exists(command_file())) {
    throw Error(path_ + ": no run has begun here, as there is no command.json; start it with -o");
  }
  return read_command(command_file(), parse_request);
}

bool RunFolder::has_ended() const {
  return read_command(command_file(),
                      [](const json& file) { return JsonObject(file).flag("ended"); });
}

void RunFolder::refuse_unfinished() const {
  if (!fs::exists(command_file()) || checkpointed_jobs(checkpoints_) == 0) return;
  if (has_ended()) return;
  throw Error(fmt::format(
      "{0}: holds checkpoints of a run that has not ended; go on with it by --resume {0}, or give "
      "another folder, or remove {1}",
      path_, checkpoints_));
}

void RunFolder::find_identities(const Workload& workload) {
  std::map<std::string, std::uint64_t> hashes;
  for (const Job& job : workload.jobs) {
    const auto [found, fresh] = hashes.try_emplace(job.data);
    if (fresh) {
      found->second = in_context(job.name, [&] { return TextData::load(job.data).hash(); });
    }
    identities_.push_back(identity_of(job, found->second));
  }
}

void RunFolder::resume_decisions(const Workload& workload, std::vector<std::string>& problems) {
  if (!workload.early_stop) return;
  DecisionFile read = read_decisions(decisions_file(), *workload.early_stop, workload.jobs.size());
  decisions_ = std::move(read.decisions);
  decisions_saved_ = decisions_.size();
  if (read.problem.empty()) return;
  problems.push_back(read.problem + "; what was decided from there on is decided again");
}

/// Of each job a checkpoint may hold.
std::vector<std::int64_t> RunFolder::most_minibatches(const Workload& workload) const {
  std::vector<std::int64_t> most(workload.jobs.size(), INT64_MAX);
  if (!stops_early(workload)) return most;
  in_context(decisions_file(), [&] {
    const auto search =
        workload.early_stop ? make_recorded_tuner(workload, {}, decisions_) : nullptr;
    const auto tuner = search ? nullptr : make_tuner(workload);
    for (std::size_t j = 0; j < most.size(); ++j) {
      most[j] = search ? search->most(job_id(j)) : tuner->goal(job_id(j));
    }
  });
  return most;
}

void RunFolder::resume(Workload& workload) {
  claim();
  const std::size_t jobs = checkpointed_jobs(checkpoints_);
  if (jobs > workload.jobs.size()) {
    throw Error(fmt::format("{}: has a checkpoint of job {}, the workload has {} jobs",
                            checkpoints_, jobs - 1, workload.jobs.size()));
  }
  find_identities(workload);
  std::vector<std::string> problems;
  if (!fs::exists(checkpoints_)) {
    problems.push_back(checkpoints_ + ": is not there; all jobs begin anew");
  }
  resume_decisions(workload, problems);
  const std::vector<std::int64_t> most = most_minibatches(workload);
  for (std::size_t j = 0; j < workload.jobs.size(); ++j) {
    Job& job = workload.jobs[j];
    const std::size_t before = damaged_.size();
    found_.push_back(CheckpointFile::newest(checkpoints_, j, damaged_, most[j]));
    for (std::size_t i = before; i < damaged_.size(); ++i) problems.push_back(damaged_[i].problem);
    if (damaged_.size() > before) {
      problems.back() += found_.back()
                             ? fmt::format("; {} goes on from the one before, minibatch {}",
                                           job.name, found_.back()->checkpoint().minibatch)
                             : fmt::format("; {} begins anew", job.name);
    }
    if (!found_.back()) continue;
    const Checkpoint& checkpoint = found_.back()->checkpoint();
    const std::string different = difference(found_.back()->identity(), identities_[j]);
    if (!different.empty()) {
      throw Error(
          fmt::format("{}: is of another workload: {}: {}", checkpoints_, job.name, different));
    }
    if (checkpoint.minibatch > job.minibatches) {
      throw Error(fmt::format("{}: {} is in minibatch {} there, the workload gives it {}",
                              checkpoints_, job.name, checkpoint.minibatch, job.minibatches));
    }
    job.done = checkpoint.minibatch;
  }
  print_warnings(problems);
}

std::vector<std::string> RunFolder::refuse_other_parts(const Program& program) const {
  std::vector<std::string> unknown;
  for (std::size_t j = 0; j < found_.size(); ++j) {
    const JobProgram& job = program.jobs[j];
    if (!found_[j] || job.done == job.minibatches) continue;
    const Checkpoint& from = found_[j]->checkpoint();
    const Parts now = parts_of(job);
    if (from.microbatches == now.microbatches && from.replicas == now.replicas) continue;
    if (from.microbatches == 0) {
      unknown.push_back(fmt::format(
          "{}: its checkpoint does not say how minibatches were dealt out; the weights are those "
          "of an undisturbed run only if this plan has as many microbatches and replicas",
          job.name));
      continue;
    }
    throw Error(fmt::format(
        "{}: {} was trained in {} microbatches on {} replicas, this plan has {} on {}, which adds "
        "gradients up in another order: the weights would be those of neither. Give a strategy "
        "with as many of both, whatever its stages or devices (spill, resident and model_parallel "
        "have 1 and 1), or --accept-order",
        checkpoints_, job.name, from.microbatches, from.replicas, now.microbatches, now.replicas));
  }
  return unknown;
}

std::string RunFolder::resumed_text(const Workload& workload) const {
  std::string text;
  for (std::size_t j = 0; j < found_.size(); ++j) {
    const Job& job = workload.jobs[j];
    if (!found_[j]) {
      text += fmt::format("{} has no checkpoint and begins\n", job.name);
      continue;
    }
    const bool done = job.done > 0 && job.done == job.minibatches;
    text += fmt::format("{} {} after minibatch {} of {}\n", job.name, done ? "is done" : "goes on",
                        job.done, job.minibatches);
  }
  return text;
}

std::vector<const Checkpoint*> RunFolder::resumed() const {
  std::vector<const Checkpoint*> all;
  for (const auto& file : found_) all.push_back(file ? &file->checkpoint() : nullptr);
  return all;
}

/// A file system that has no locks is no reason to fail.
void RunFolder::claim() {
  if (lock_ >= 0) return;
  make_folder(path_);
  lock_ = ::open((path_ + "/lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (lock_ < 0 || ::flock(lock_, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK) return;
  ::close(std::exchange(lock_, -1));
  throw Error(path_ +
              ": another run is going on in this folder; wait for its end, or give another "
              "folder with -o");
}

void RunFolder::begin(const RunRequest& request, const Workload& workload) {
  claim();
  if (found_.empty()) refuse_unfinished();  // Another run may have begun and ended meanwhile.
  make_folder(checkpoints_);
  remove_checkpoints(checkpoints_, /*temporary_only=*/!found_.empty());
  for (const DamagedCheckpoint& each : damaged_) set_aside(each);
  if (identities_.empty()) find_identities(workload);
  search_ = workload.early_stop;
  write(request, false);
}

void RunFolder::note(const Decision& decision) {
  const std::lock_guard lock(mutex_);
  decisions_.push_back(decision);
}

void RunFolder::save_decisions() {
  std::vector<Decision> now;
  {
    const std::lock_guard lock(mutex_);
    if (decisions_.size() == decisions_saved_) return;
    now = decisions_;
  }
  write_decisions(decisions_file(), *search_, identities_.size(), now);
  decisions_saved_ = now.size();
}

void RunFolder::try_to_save_decisions() {
  try {
    save_decisions();
  } catch (const Error&) {  // save() says why.
  }
}

void RunFolder::save(JobId job, const Checkpoint& checkpoint) {
  save_decisions();
  write_checkpoint(checkpoints_, index(job), identities_[index(job)], checkpoint);
}

void RunFolder::end(const RunRequest& request) const { write(request, true); }

void RunFolder::write(const RunRequest& request, bool ended) const {
  ordered_json root = request_json(request);
  root["ended"] = ended;
  write_file_atomically(command_file(), root.dump(1) + "\n");
}

}  // namespace shardlab
