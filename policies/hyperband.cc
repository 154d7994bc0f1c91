#include "policies/hyperband.h"

#include <fmt/format.h>

namespace shardlab {

std::vector<Bracket> hyperband_brackets(std::int64_t eta, std::int64_t most) {
  std::vector<std::int64_t> powers{1};  // Of eta, up to `most`.
  while (powers.back() <= most / eta) powers.push_back(powers.back() * eta);
  const auto count = static_cast<std::int64_t>(powers.size());
  std::vector<Bracket> brackets;
  for (std::int64_t s = count - 1; s >= 0; --s) {
    const std::int64_t jobs = (count * powers[static_cast<std::size_t>(s)] + s) / (s + 1);
    Rungs rungs{fmt::format("Hyperband in bracket {}", s), {}, most};
    for (auto i = static_cast<std::size_t>(s); i > 0; --i) rungs.at.push_back(most / powers[i]);
    brackets.push_back({jobs, std::move(rungs)});
  }
  return brackets;
}

Hyperband::Hyperband(std::size_t jobs, std::int64_t eta, std::int64_t most, const LossOf& losses) {
  const std::vector<Bracket> kinds = hyperband_brackets(eta, most);
  while (bracket_of_.size() < jobs) {
    const Bracket& kind = kinds[brackets_.size() % kinds.size()];
    std::vector<JobId> dealt;
    while (bracket_of_.size() < jobs && static_cast<std::int64_t>(dealt.size()) < kind.jobs) {
      dealt.push_back(job_id(bracket_of_.size()));
      bracket_of_.push_back(brackets_.size());
    }
    brackets_.emplace_back(dealt, kind.rungs, eta, losses);
  }
}

void Hyperband::reached(JobId job, std::int64_t minibatches) {
  changed_.push_back(bracket_of_[index(job)]);
  brackets_[changed_.back()].reached(job, minibatches);
}

void Hyperband::ended(JobId job) {
  changed_.push_back(bracket_of_[index(job)]);
  brackets_[changed_.back()].ended(job);
}

std::vector<Tuner::Verdict> Hyperband::decide() {
  std::vector<Verdict> all;
  for (const std::size_t bracket : std::exchange(changed_, {})) {
    for (Verdict& verdict : brackets_[bracket].decide()) all.push_back(std::move(verdict));
  }
  return all;
}

}  // namespace shardlab
